"""Whatever model a user has: configs of the installed hosts, one line of rebalancing each, two training steps.

Every family of heads meets at least one component: its loss, its start, its sampler, its classifier or its optimizer.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')

from imbdense.cli.main import run_verb
from imbdense.mm.checkpoints import load_checkpoint
from tests.integration.test_foreign_configs import child, cityscapes, installed, losses_of, mmdet_classes, seg_options
from tests.integration.tiny_data import write_detection

HOOK = "custom_hooks = [dict(type='imbdense.{}')]"
SEGMENTATION = {
    'fcn-bias': ('fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py',
                 "custom_hooks = [dict(type='imbdense.PriorBiasInitHook', target='decode_head.conv_seg')]"),
    'fcn-deferred': ('fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py',
                     "model = dict(decode_head=dict(loss_decode=dict(type='imbdense.BalancedSoftmaxLoss')))\n"
                     "custom_hooks = [dict(type='imbdense.DeferredRebalanceHook',"
                     ' phases=dict(plain=dict(until=1), rebalanced=dict(loss=True)))]'),
    'upernet-regions': ('upernet/upernet_r50_4xb2-40k_cityscapes-512x1024.py',
                        "model = dict(auxiliary_head=dict(_delete_=True, type='imbdense.RegionRebalanceAux',"
                        ' in_channels=1024, in_index=2, num_classes=19))'),
    'pspnet-paco': ('pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
                    "model = dict(auxiliary_head=dict(_delete_=True, type='imbdense.PaCoHead', in_channels=1024,"
                    ' in_index=2, num_classes=19))'),
    'deeplab-lovasz': ('deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024.py',
                       "model = dict(decode_head=dict(loss_decode=[dict(type='imbdense.LogitAdjustLoss', tau=0.5),"
                       " dict(type='imbdense.BinnedLovaszLoss')]))"),
    'ocr-counts': ('ocrnet/ocrnet_hr18_4xb2-40k_cityscapes-512x1024.py', HOOK.format('ClassCountHook')),
    'muon': ('fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py',
             "optim_wrapper = dict(_delete_=True, type='OptimWrapper',"
             " constructor='imbdense.MuonOptimWrapperConstructor',"
             " optimizer=dict(type='imbdense.MuonAdamW', lr=1e-4, weight_decay=0.01))"),
}
DETECTION = {
    'retina-bias': ('retinanet/retinanet_r50_fpn_1x_coco.py', HOOK.format('PriorBiasInitHook')),
    'fcos-guided': ('fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
                    "model = dict(bbox_head=dict(type='imbdense.SamplingFreeFCOSHead',"
                    " loss_cls=dict(_delete_=True, type='CrossEntropyLoss', use_sigmoid=True)))"),
    'atss-seesaw': ('atss/atss_r50_fpn_1x_coco.py',
                    "model = dict(bbox_head=dict(loss_cls=dict(_delete_=True, type='imbdense.SyncedSeesawLoss',"
                    ' use_sigmoid=True, focal_gamma=2.0, focal_alpha=0.25)))'),
    'gfl-bias': ('gfl/gfl_r50_fpn_1x_coco.py',
                    "custom_hooks = [dict(type='imbdense.PriorBiasInitHook', target='bbox_head.gfl_cls')]"),
    'faster-seesaw': ('faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
                      "model = dict(roi_head=dict(bbox_head=dict(loss_cls=dict(_delete_=True,"
                      " type='imbdense.SyncedSeesawLoss'))))"),
    'faster-eqlv2': ('faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
                     "model = dict(roi_head=dict(bbox_head=dict(loss_cls=dict(_delete_=True,"
                     " type='imbdense.EQLv2Loss'))))"),
    'cascade-bias': ('cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py', HOOK.format('PriorBiasInitHook')),
    'yolov3-bias': ('yolo/yolov3_d53_8xb8-320-273e_coco.py', HOOK.format('PriorBiasInitHook')),
    'detr-adjusted': ('detr/detr_r50_8xb2-150e_coco.py',
                      "model = dict(bbox_head=dict(loss_cls=dict(_delete_=True, type='imbdense.LogitAdjustLoss')))"),
}
SMALL = '''
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
            dict(type='Resize', scale=(96, 80), keep_ratio=True), dict(type='RandomFlip', prob=0.5),
            dict(type='PackDetInputs')]
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(_delete_=True,
    type='CocoDataset', data_root={root!r}, ann_file='annotations/train.json',
    data_prefix=dict(img='images/train/'), pipeline=pipeline))
val_dataloader = val_cfg = val_evaluator = test_dataloader = test_cfg = test_evaluator = None
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=1)
'''
slow = pytest.mark.slow


@slow
@pytest.mark.parametrize(('config', 'line'), SEGMENTATION.values(), ids=SEGMENTATION.keys())
def test_segmentor_with_one_line(tmp_path: Path, config: str, line: str) -> None:
    root = cityscapes(tmp_path / 'cityscapes')
    path = child(tmp_path, installed('mmseg', config), line)
    options = [*seg_options(root), 'train_cfg.max_iters=2', 'train_cfg.val_interval=10']
    check_training(path, tmp_path / 'run', options)


@slow
@pytest.mark.parametrize(('config', 'line'), DETECTION.values(), ids=DETECTION.keys())
def test_detector_with_one_line(tmp_path: Path, config: str, line: str) -> None:
    root = write_detection(tmp_path / 'coco', mmdet_classes())
    path = child(tmp_path, installed('mmdet', config), line, SMALL.format(root=str(root)))
    check_training(path, tmp_path / 'run', ['model.backbone.init_cfg=None', 'default_hooks.logger.interval=1'])


def check_training(config: Path, work_dir: Path, options: list[str]) -> None:
    """Two steps with finite losses and a checkpoint that can be read safely."""
    assert run_verb('train', [str(config), '--work-dir', str(work_dir), '--seed', '0', '--cfg-options', *options]) == 0
    records = losses_of(work_dir)
    assert len(records) == 2 and all(math.isfinite(record['loss']) for record in records)
    (checkpoint,) = work_dir.glob('*_[0-9].pth')
    assert load_checkpoint(checkpoint)['state_dict']
