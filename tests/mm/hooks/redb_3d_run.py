"""A ReDB run in space of a few epochs: two labelled and four unlabelled tiny scenes, rounds at epochs 1 and 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, init_default_scope
from mmengine.runner import Runner

from imbdense.data.instance_bank import InstanceBank
from imbdense.mm.datasets.bank_round import fill_round, round_identity
from imbdense.mm.datasets.statistics import class_counts
from imbdense.mm.pseudo_label import redb_round
from imbdense.utils.stopwatch import Stopwatch
from tests.helpers.lidar_folder import BOXES, LOAD, PACK, dataset, detector, lidar_folder

HOOK = {
    'type': 'imbdense.PseudoLabelRoundHook', 'rounds': [1, 3],
    'rule': {'type': 'imbdense.FixedThreshold', 'threshold': 0.4, 'negative': 0.3},
    'cde': {'iou_thr': 0.3}, 'obc': {'rate': {'Car': 2}}, 'quota': {'k0_src': 2, 'reduce': 1, 'k0_tgt': 1, 'grow': 1},
    'restart_schedule': True,
}  # fmt: skip


def source_bank(root: Path) -> Path:
    """The bank of ground truth of the labelled scenes."""
    folder = root / 'source_bank'
    if not folder.exists():
        made = DATASETS.build(dataset(lidar_folder(root), [LOAD, BOXES], indices=2))
        bank = InstanceBank.create(folder, made.metainfo['classes'], 'points')
        writer = bank.start_round(round_identity(made, None, 5, 0), number=0)
        fill_round(made, writer, min_area=5)
        writer.finish()
    return folder


def config(root: Path, work_dir: Path, **changes: Any) -> Config:
    """The run; ``hook``, ``epochs`` and more may be changed."""
    init_default_scope('mmengine')
    source, target = lidar_folder(root), lidar_folder(root, 'beams64', seed=1)
    pasted = [{'type': 'imbdense.BankPaste3d', 'bank': str(work_dir / 'pseudo_bank')},
              {'type': 'imbdense.BankPaste3d', 'bank': str(source_bank(root)), 'scale': [(0.8, 1.0)] * 3}]
    augment = {'type': 'imbdense.BevAugment', 'angle': 0.2}
    parts = {
        'labeled': dataset(source, [LOAD, BOXES, augment, PACK], indices=2),
        'unlabeled': dataset(target, [LOAD, {'type': 'imbdense.PseudoBoxes3d'}, *pasted, augment, PACK]),
    }
    test = {
        'batch_size': 1, 'num_workers': 0, 'sampler': {'type': 'DefaultSampler', 'shuffle': False},
        'dataset': dataset(target, [LOAD, BOXES, PACK], 'val', test_mode=True),
    }  # fmt: skip
    hook = {'source_bank': str(source_bank(root)), **changes.get('hook', HOOK)}
    return Config({
        'default_scope': 'mmengine', 'work_dir': str(work_dir),
        'model': {'type': 'imbdense.ReDB3D', 'detector': detector(), **changes.get('model', {})},
        'train_dataloader': {
            'batch_size': 3, 'num_workers': 0, 'dataset': {'type': 'imbdense.SemiDataset', **parts},
            'sampler': {'type': 'imbdense.TwoStreamSampler', 'batch_size': 3, 'ratio': (1, 2)},
        },
        'test_dataloader': test, 'test_cfg': {'type': 'TestLoop'}, 'test_evaluator': {'type': 'imbdense.KittiAPMetric'},
        'train_cfg': {'type': 'EpochBasedTrainLoop', 'max_epochs': changes.get('epochs', 4)},
        'optim_wrapper': {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 1e-4, 'momentum': 0.9}},
        'param_scheduler': [{'type': 'LinearLR', 'start_factor': 0.5, 'end': 4, 'by_epoch': False}],
        'custom_hooks': [hook, {'type': 'imbdense.ClassCountHook'}, {'type': 'imbdense.ExactResumeHook'}],
        'default_hooks': {'checkpoint': {'type': 'CheckpointHook', 'interval': 1},
                          'logger': {'type': 'LoggerHook', 'interval': 1}},
        'randomness': {'seed': 0}, 'log_level': 'WARNING', 'experiment_name': work_dir.name,
        'load_from': changes.get('load_from'), 'resume': changes.get('resume', False),
    })  # fmt: skip


def learned(root: Path, model: Any) -> Any:
    """A model that has learned the source scenes a little, the same for equal scenes; kept beside them."""
    file = root / 'source.pth'
    if not file.exists():
        torch.manual_seed(0)
        plain = MODELS.build(detector())
        rows = DATASETS.build(dataset(lidar_folder(root), [LOAD, BOXES, PACK]))
        batch = plain.data_preprocessor(pseudo_collate([rows[i] for i in range(len(rows))]), True)
        optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-2)
        for _ in range(60):
            optimizer.zero_grad()
            sum(plain.loss(**{'inputs': batch['inputs'], 'samples': batch['data_samples']}).values()).backward()
            optimizer.step()
        torch.save(plain.state_dict(), file)
    model.load_state_dict(torch.load(file, weights_only=True))  # ReDB3D takes the weights of a plain detector
    model.init_weights = lambda: None
    return model


def runner(root: Path, work_dir: Path, **changes: Any) -> Runner:
    """A fresh runner."""
    made = Runner.from_cfg(config(root, work_dir, **changes))
    learned(root, made.model)
    return made


def one_round(root: Path, out: Path, number: int = 0, score_thr: float = 0.1, **options: Any) -> str:
    """A whole round with examination and thinning of a fixed model, without training; the checksum of its bank."""
    cfg = config(root, out)
    torch.manual_seed(0)
    model = learned(root, MODELS.build(cfg.model)).eval()
    model.detector.score_thr = score_thr
    data = DATASETS.build(cfg.train_dataloader.dataset)
    names = data.metainfo['classes']
    bank, world = InstanceBank.create(out / 'bank', names, 'points'), model.round_world(cfg, names)
    settings = {'rule': HOOK['rule'], 'min_size': 0.0, 'examine': True, 'examine_iou': 0.1, 'thin': {names[0]: 2.0},
                'memory': {}, **options}  # fmt: skip
    redb_round.make_round(
        world, world.samples(data), world.hosts(data), out, bank, number, redb_round.ReDBOptions(**settings),
        class_counts(data), Stopwatch(),
    )  # fmt: skip
    return InstanceBank.open(out / 'bank').checksum
