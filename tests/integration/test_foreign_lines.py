"""Whatever model a user has: configs of the installed hosts, one line of rebalancing each: two steps, one prediction.

Every family of heads meets at least one component: its loss, its start, its sampler, its classifier or its optimizer.
"""

from __future__ import annotations

import json
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
    'upernet-corrected': ('upernet/upernet_r50_4xb2-40k_cityscapes-512x1024.py',
                          "model = dict(decode_head=dict(_delete_=True, type='imbdense.RegionRebalanceHead',"
                          ' base={{_base_.model.decode_head}}))'),
    'pspnet-paco': ('pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
                    "model = dict(auxiliary_head=dict(_delete_=True, type='imbdense.PaCoHead', in_channels=1024,"
                    ' in_index=2, num_classes=19))'),
    'deeplab-lovasz': ('deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024.py',
                       "model = dict(decode_head=dict(loss_decode=[dict(type='imbdense.LogitAdjustLoss', tau=0.5),"
                       " dict(type='imbdense.BinnedLovaszLoss')]))"),
    'ocr-counts': ('ocrnet/ocrnet_hr18_4xb2-40k_cityscapes-512x1024.py', HOOK.format('ClassCountHook')),
    'mask2former-queries': ('mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py',
                            "model = dict(decode_head=dict(loss_cls=dict(_delete_=True,"
                            " type='imbdense.LogitAdjustLoss', tau=0.5, class_weight=[1.0] * 19 + [0.1])))"),
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
    'faster-loce': ('faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
                    "model = dict(roi_head=dict(bbox_head=dict(type='imbdense.LOCEBBoxHead',"
                    " loss_cls=dict(type='imbdense.EBLLoss'))))"),
    'mask-rcnn-bacl': ('mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
                       "model = dict(roi_head=dict(bbox_head=dict(type='imbdense.BACLBBoxHead',"
                       " loss_cls=dict(type='imbdense.ForegroundClassBalanceLoss'))))"),
    'mask-rcnn-margin': ('mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
                         "model = dict(roi_head=dict(bbox_head=dict(loss_cls=dict(_delete_=True,"
                         " type='imbdense.EffectiveClassMarginLoss'))))"),
    'dino-adjusted': ('dino/dino-4scale_r50_8xb2-12e_coco.py',
                      "model = dict(bbox_head=dict(loss_cls=dict(_delete_=True, type='imbdense.LogitAdjustLoss',"
                      ' use_sigmoid=True, focal_gamma=2.0, focal_alpha=0.25)))'),
    'cascade-bias': ('cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py', HOOK.format('PriorBiasInitHook')),
    'yolov3-bias': ('yolo/yolov3_d53_8xb8-320-273e_coco.py', HOOK.format('PriorBiasInitHook')),
    'detr-adjusted': ('detr/detr_r50_8xb2-150e_coco.py',
                      "model = dict(bbox_head=dict(loss_cls=dict(_delete_=True, type='imbdense.LogitAdjustLoss')))"),
}
SMALL_SEG = '''
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='Resize', scale=(128, 64)),
            dict(type='RandomCrop', crop_size=(64, 64)), dict(type='PackSegInputs')]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
'''
SMALL_DET = '''
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            dict(type='Resize', scale=(96, 80), keep_ratio=True), dict(type='RandomFlip', prob=0.5),
            dict(type='PackDetInputs')]
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(_delete_=True,
    type='CocoDataset', data_root={root!r}, ann_file='annotations/train.json',
    data_prefix=dict(img='images/train/'), pipeline=pipeline))
test_dataloader = dict(dataset=dict(_delete_=True, type='CocoDataset', data_root={root!r},
    ann_file='annotations/val.json', data_prefix=dict(img='images/val/'), test_mode=True, pipeline=[
        dict(type='LoadImageFromFile'), dict(type='Resize', scale=(96, 80), keep_ratio=True),
        dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]))
val_dataloader = val_cfg = val_evaluator = None
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=1)
'''
slow = pytest.mark.slow


@slow
@pytest.mark.parametrize(('config', 'line'), SEGMENTATION.values(), ids=SEGMENTATION.keys())
def test_segmentor_with_one_line(tmp_path: Path, config: str, line: str) -> None:
    root = cityscapes(tmp_path / 'cityscapes')
    path = child(tmp_path, installed('mmseg', config), line, SMALL_SEG)
    pipeline = ('train_dataloader.dataset.pipeline.2', 'train_dataloader.dataset.pipeline.3')
    options = [option for option in seg_options(root) if not option.startswith(pipeline)]
    options += ['train_cfg.max_iters=2', 'train_cfg.val_interval=10', 'default_hooks.checkpoint.interval=2']
    if 'mask2former' in config:  # its preprocessor also makes batches, its weights are named in the backbone
        options = [option for option in options if not option.startswith(('model.pretrained', 'model.data_pre'))]
        options += ['model.backbone.init_cfg=None', 'model.data_preprocessor.size=(64,64)']
    check_training(path, tmp_path / 'run', options, root / 'leftImg8bit' / 'val')


@slow
def test_point_head_with_one_option(tmp_path: Path) -> None:
    """PointRend has a list of heads, in which a child config cannot change one; an option can."""
    root = cityscapes(tmp_path / 'cityscapes')
    path = child(tmp_path, installed('mmseg', 'point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py'), '')
    options = [*seg_options(root), 'train_cfg.max_iters=2', 'train_cfg.val_interval=10',
               'default_hooks.checkpoint.interval=2']
    options += [f'model.decode_head.{head}.loss_decode.type=imbdense.LogitAdjustLoss' for head in (0, 1)]
    check_training(path, tmp_path / 'run', options, root / 'leftImg8bit' / 'val')


@slow
@pytest.mark.parametrize(('config', 'line'), DETECTION.values(), ids=DETECTION.keys())
def test_detector_with_one_line(tmp_path: Path, config: str, line: str) -> None:
    root = write_detection(tmp_path / 'coco', mmdet_classes())
    add_outlines(root / 'annotations' / 'train.json')
    path = child(tmp_path, installed('mmdet', config), line, SMALL_DET.format(root=str(root)))
    options = ['model.backbone.init_cfg=None', 'default_hooks.logger.interval=1']
    if 'dino' in config:  # the small image has fewer places than the 900 queries want
        options.append('model.num_queries=20')
    check_training(path, tmp_path / 'run', options, root / 'images' / 'val')


def add_outlines(annotations: Path) -> None:
    """Give every box of a COCO json its rectangle as a mask."""
    record = json.loads(annotations.read_text())
    for one in record['annotations']:
        x, y, width, height = one['bbox']
        one['segmentation'] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    annotations.write_text(json.dumps(record))


def check_training(config: Path, work_dir: Path, options: list[str], images: Path) -> None:
    """Two steps with finite losses, a checkpoint that can be read safely, and a prediction made with it."""
    changes = ['--cfg-options', *options]
    assert run_verb('train', [str(config), '--work-dir', str(work_dir), '--seed', '0', *changes]) == 0
    records = losses_of(work_dir)
    assert len(records) == 2 and all(math.isfinite(record['loss']) for record in records)
    checkpoint = max(work_dir.glob('*_[0-9].pth'))  # the last; some configs keep one more
    assert load_checkpoint(checkpoint)['state_dict']
    image, out = sorted(images.glob('*.png'))[0], work_dir / 'predicted'
    assert run_verb('predict', [str(config), str(checkpoint), str(image), '--out', str(out), *changes]) == 0
    assert len(list(out.glob('*_overlay.jpg'))) == 1
