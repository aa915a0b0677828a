"""A detection run of a few iterations: real Runner, real mmdet data set and heads on the small COCO set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from tests.mm.assigned_counts import cases


def config(root: Path, work_dir: Path, model: Any, **changes: Any) -> Config:
    """The run; ``hooks``, ``load_from``, ``resume``, ``epochs`` and ``extra`` transforms may be changed."""
    cases.register()
    loader = {
        'batch_size': 2, 'num_workers': 0, 'sampler': changes.get('sampler', {'type': 'DefaultSampler'}),
        'dataset': cases.dataset_config(root, *changes.get('extra', ())),
    }  # fmt: skip
    test_loader = {
        'batch_size': 1, 'num_workers': 0, 'sampler': {'type': 'DefaultSampler', 'shuffle': False},
        'dataset': cases.dataset_config(root, {'type': 'Resize', 'scale': (160, 160), 'keep_ratio': True},
                                        test_mode=True, indices=4),
    }  # fmt: skip
    evaluator = {'type': 'CocoMetric', 'ann_file': str(root / 'train.json'), 'metric': 'bbox'}
    return Config(
        {
            'default_scope': 'mmdet', 'work_dir': str(work_dir), 'model': model, 'train_dataloader': loader,
            'val_dataloader': test_loader, 'test_dataloader': test_loader, 'val_evaluator': evaluator,
            'test_evaluator': evaluator,
            'optim_wrapper': {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 1e-3}},
            'train_cfg': {'type': 'EpochBasedTrainLoop', 'max_epochs': changes.get('epochs', 1), 'val_interval': 1},
            'val_cfg': {'type': 'ValLoop'}, 'test_cfg': {'type': 'TestLoop'},
            'custom_hooks': changes.get('hooks', [{'type': 'imbdense.PriorBiasInitHook'}]),
            'load_from': changes.get('load_from'), 'resume': changes.get('resume', False),
            'randomness': {'seed': 0}, 'log_level': 'ERROR',
            'experiment_name': f'tiny_{work_dir.name}_{abs(hash(str(work_dir)))}',
        }
    )  # fmt: skip


def runner(root: Path, work_dir: Path, model: Any, **changes: Any) -> Runner:
    """A fresh runner of :func:`config`."""
    return Runner.from_cfg(config(root, work_dir, model, **changes))
