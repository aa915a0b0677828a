"""A ReDB run of a few epochs on tiny data: two labelled and four unlabelled images, rounds at epochs 1 and 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from tests.integration.tiny_data import write_detection
from tests.mm.inference import detectors

BRANCHES = ['sup', 'unsup_student']
KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'homography_matrix')
HOOK = {
    'type': 'imbdense.PseudoLabelRoundHook', 'rounds': [1, 3],
    'rule': {'type': 'imbdense.FixedThreshold', 'threshold': 0.3, 'negative': 0.1},
    'cde': {'iou_thr': 0.3}, 'obc': {'rate': {'car': 2}},
    'quota': {'k0_src': 3, 'reduce': 1, 'k0_tgt': 1, 'grow': 1},
}  # fmt: skip


def config(root: Path, work_dir: Path, **changes: Any) -> Config:
    """The run; ``hook`` and ``epochs`` may be changed."""
    if not (root / 'images').exists():
        write_detection(root, detectors.CLASSES, count=6)
    load = {'type': 'LoadImageFromFile'}
    pack = {'type': 'PackDetInputs', 'meta_keys': KEYS}
    flip = {'type': 'RandomFlip', 'prob': 0.5}
    paste = {'type': 'imbdense.BankPaste', 'bank': str(work_dir / 'pseudo_bank'), 'scale': (0.9, 1.1)}
    pipelines = {
        'labeled': [load, {'type': 'LoadAnnotations', 'with_bbox': True}, flip,
                    {'type': 'MultiBranch', 'branch_field': BRANCHES, 'sup': [pack]}],
        'unlabeled': [load, {'type': 'LoadEmptyAnnotations'}, paste, flip,
                      {'type': 'MultiBranch', 'branch_field': BRANCHES, 'unsup_student': [pack]}],
    }  # fmt: skip
    common = {'type': 'imbdense.AnyCocoDataset', 'data_root': str(root), 'ann_file': 'annotations/train.json',
              'data_prefix': {'img': 'images/train'}, 'metainfo': {'classes': detectors.CLASSES}}
    parts = {name: {**common, 'pipeline': pipeline} for name, pipeline in pipelines.items()}
    parts['labeled']['indices'] = 2
    model = detectors.model('dense_softmax')
    model['train_cfg'] = {
        'assigner': {'type': 'MaxIoUAssigner', 'pos_iou_thr': 0.5, 'neg_iou_thr': 0.4, 'min_pos_iou': 0},
        'sampler': {'type': 'PseudoSampler'}, 'allowed_border': -1, 'pos_weight': -1, 'debug': False,
    }  # fmt: skip
    preprocessor = {'type': 'DetDataPreprocessor', 'mean': [60.0] * 3, 'std': [60.0] * 3, 'pad_size_divisor': 16}
    test = {
        'batch_size': 1, 'num_workers': 0, 'sampler': {'type': 'DefaultSampler', 'shuffle': False},
        'dataset': {**common, 'test_mode': True, 'pipeline': [
            load, {'type': 'Resize', 'scale': (96, 80), 'keep_ratio': True}, pack]},
    }  # fmt: skip
    return Config({
        'default_scope': 'mmdet', 'work_dir': str(work_dir),
        'model': {'type': 'imbdense.ReDBDetector', 'detector': model, 'data_preprocessor': {
            'type': 'MultiBranchDataPreprocessor', 'data_preprocessor': preprocessor}},
        'train_dataloader': {
            'batch_size': 2, 'num_workers': 0, 'dataset': {'type': 'imbdense.SemiDataset', **parts},
            'sampler': {'type': 'imbdense.TwoStreamSampler', 'batch_size': 2, 'ratio': (1, 1)},
        },
        'test_dataloader': test, 'test_cfg': {'type': 'TestLoop'},
        'test_evaluator': {'type': 'CocoMetric', 'ann_file': str(root / 'annotations' / 'train.json')},
        'train_cfg': {'type': 'EpochBasedTrainLoop', 'max_epochs': changes.get('epochs', 4)},
        'optim_wrapper': {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 1e-3}},
        'custom_hooks': [changes.get('hook', HOOK), {'type': 'imbdense.ClassCountHook'},
                         {'type': 'imbdense.ExactResumeHook'}],
        'default_hooks': {'checkpoint': {'type': 'CheckpointHook', 'interval': 1},
                          'logger': {'type': 'LoggerHook', 'interval': 1}},
        'randomness': {'seed': 0}, 'log_level': 'WARNING', 'experiment_name': work_dir.name,
        'load_from': changes.get('load_from'), 'resume': changes.get('resume', False),
    })  # fmt: skip


def runner(root: Path, work_dir: Path, **changes: Any) -> Runner:
    """A fresh runner whose class scores are spread."""
    import torch

    made = Runner.from_cfg(config(root, work_dir, **changes))
    generator = torch.Generator().manual_seed(0)
    for network in (made.model.student, made.model.teacher):
        network.init_weights = lambda: None
    made.model.init_weights = lambda: None
    head = made.model.student.bbox_head.retina_cls
    head.weight.data = 0.3 * torch.randn(head.weight.shape, generator=generator)
    made.model.teacher.load_state_dict(made.model.student.state_dict())
    return made
