"""A ReDB run of a few epochs on tiny data: two labelled and four unlabelled images, rounds at epochs 1 and 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, init_default_scope
from mmengine.runner import Runner

from imbdense.data.instance_bank import InstanceBank
from imbdense.mm.datasets.statistics import class_counts
from imbdense.mm.pseudo_label import redb_round
from imbdense.mm.pseudo_label.redb_images import ImageWorld
from imbdense.utils.stopwatch import Stopwatch
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
    """The run; ``hook``, ``epochs``, ``classes`` and more may be changed."""
    classes = changes.get('classes', detectors.CLASSES)
    if not (root / 'images').exists():
        write_detection(root, classes, count=6)
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
              'data_prefix': {'img': 'images/train'}, 'metainfo': {'classes': classes}}
    parts = {name: {**common, 'pipeline': pipeline} for name, pipeline in pipelines.items()}
    parts['labeled']['indices'] = 2
    model = detectors.model('dense_softmax')
    model['bbox_head']['num_classes'] = len(classes)
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
        **({'param_scheduler': changes['schedule']} if 'schedule' in changes else {}),
        'randomness': {'seed': 0}, 'log_level': 'WARNING', 'experiment_name': work_dir.name,
        'load_from': changes.get('load_from'), 'resume': changes.get('resume', False),
    })  # fmt: skip


def runner(root: Path, work_dir: Path, **changes: Any) -> Runner:
    """A fresh runner whose class scores are spread."""
    made = Runner.from_cfg(config(root, work_dir, **changes))
    generator = torch.Generator().manual_seed(0)
    for network in (made.model.student, made.model.teacher):
        network.init_weights = lambda: None
    made.model.init_weights = lambda: None
    head = made.model.student.bbox_head.retina_cls
    head.weight.data = 0.3 * torch.randn(head.weight.shape, generator=generator)
    made.model.teacher.load_state_dict(made.model.student.state_dict())
    return made


def one_round(data: Path, out: Path, number: int = 0, score_thr: float = 0.01, classes: Any = None, seed: int = 0,
              **options: Any) -> str:
    """A whole round with examination and thinning of a fixed model, without training; the checksum of its bank.

    ``score_thr``: below, the detector returns nothing. ``options`` replace those of the round.
    """
    cfg = config(data, out, **({} if classes is None else {'classes': classes}))
    init_default_scope('mmdet')
    torch.manual_seed(seed)
    model = MODELS.build(cfg.model).eval()
    generator = torch.Generator().manual_seed(seed)
    model.student.bbox_head.retina_cls.weight.data.normal_(0, 0.3, generator=generator)
    model.student.test_cfg.score_thr = model.student.bbox_head.test_cfg.score_thr = score_thr
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    names = dataset.metainfo['classes']
    bank = InstanceBank.create(out / 'bank', names)
    settings = {'rule': HOOK['rule'], 'examine': True, 'examine_iou': 0.3, 'thin': {names[0]: 2.0}, 'memory': {},
                **options}
    world = ImageWorld(model, cfg, names)
    redb_round.make_round(
        world, world.samples(dataset), world.hosts(dataset), out, bank, number,
        redb_round.ReDBOptions(**settings), class_counts(dataset), Stopwatch(),
    )  # fmt: skip
    return InstanceBank.open(out / 'bank').checksum
