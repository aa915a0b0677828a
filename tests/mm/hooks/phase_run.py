"""A run of milliseconds that records what it draws, at what learning rate it steps and whether its loss rebalances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS
from torch import nn

from imbdense.mm.runner import SafeRunner

ROWS = [[0]] * 16 + [[0, 1]] * 6 + [[2]] * 2
"""Classes per image: of 24 images two hold the rare class 2."""


@DATASETS.register_module(force=True)
class RowDataset:
    """Image i is a random vector; it is known by its number."""

    metainfo = {'classes': ('field', 'road', 'mast')}

    def __len__(self) -> int:
        return len(ROWS)

    def get_cat_ids(self, index: int) -> list[int]:
        """Class of each object of an image."""
        return ROWS[index]

    def __getitem__(self, index: int) -> dict[str, Any]:
        base = torch.randn(4, generator=torch.Generator().manual_seed(index))
        return {'inputs': base + 0.1 * torch.randn(4), 'index': index}


class SwitchedLoss(nn.Module):
    """Stands for a loss of imbdense."""

    rebalancing = True

    def set_rebalancing(self, active: bool) -> None:
        """Remember the switch."""
        self.rebalancing = active

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Cross-entropy, twice as large when it rebalances."""
        return nn.functional.cross_entropy(logits, target) * (2.0 if self.rebalancing else 1.0)


@MODELS.register_module(force=True)
class RecordingModel(BaseModel):
    """Backbone with batch norm and dropout, head; remembers each step in ``seen``."""

    def __init__(self, switched: bool = True) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.2))
        self.head = nn.Linear(6, 3)
        self.loss = SwitchedLoss() if switched else nn.CrossEntropyLoss()
        self.seen: list[dict[str, Any]] = []

    def forward(self, inputs: Any, index: Any, mode: str = 'tensor') -> Any:
        """Loss of the class of each image."""
        features = self.backbone(torch.stack(list(inputs)))
        target = torch.tensor([max(ROWS[int(i)]) for i in index])
        self.seen.append({
            'indices': [int(i) for i in index], 'rebalancing': getattr(self.loss, 'rebalancing', None),
            'norm': self.backbone[1].training,
        })  # fmt: skip
        return {'loss_toy': self.loss(self.head(features), target)}

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, torch.Tensor]:
        """The host's, with the learning rates of the step remembered."""
        result = super().train_step(data, optim_wrapper)
        self.seen[-1]['lr'] = [group['lr'] for group in optim_wrapper.optimizer.param_groups]
        return result


def config(work_dir: Path, hooks: list[dict[str, Any]], **changes: Any) -> Config:
    """40 iterations (or 8 epochs with ``epochs=True``) of batches of four; a checkpoint at the end."""
    by_epoch = changes.get('epochs', False)
    length = {'max_epochs': 8} if by_epoch else {'max_iters': 40}
    workers = changes.get('workers', 0)
    return Config({
        'work_dir': str(work_dir), 'experiment_name': f'phases_{abs(hash(str(work_dir)))}',
        'model': {'type': 'RecordingModel', 'switched': changes.get('switched', True)},
        'train_dataloader': {
            'batch_size': 4, 'num_workers': workers, 'persistent_workers': workers > 0,
            'sampler': changes.get('sampler', {'type': 'DefaultSampler' if by_epoch else 'InfiniteSampler'}),
            'dataset': {'type': 'RowDataset'}, 'drop_last': True,
        },
        'optim_wrapper': {
            'type': 'OptimWrapper', 'optimizer': changes.get('optimizer', {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9}),
            'paramwise_cfg': {'custom_keys': {'head': {'lr_mult': 2.0}}},
        },
        'param_scheduler': changes.get('schedule', [
            {'type': 'LinearLR', 'start_factor': 0.1, 'by_epoch': False, 'begin': 0, 'end': 10},
            {'type': 'CosineAnnealingLR', 'by_epoch': False, 'begin': 10, 'end': 40, 'T_max': 30, 'eta_min': 0.01},
        ]),
        'train_cfg': {'by_epoch': by_epoch, **length},
        'default_hooks': {
            'checkpoint': {'type': 'CheckpointHook', 'interval': changes.get('interval', 1000), 'by_epoch': by_epoch},
            'logger': {'type': 'LoggerHook', 'interval': 1},
        },
        'custom_hooks': hooks, 'load_from': changes.get('load_from'), 'resume': changes.get('resume', False),
        'env_cfg': {'mp_cfg': {'mp_start_method': 'fork'}}, 'launcher': changes.get('launcher', 'none'),
        'log_processor': {'by_epoch': by_epoch}, 'randomness': {'seed': 3}, 'log_level': 'WARNING',
    })  # fmt: skip


def train(work_dir: Path, hooks: list[dict[str, Any]], **changes: Any) -> SafeRunner:
    """Train to the end and return the runner."""
    runner = SafeRunner.from_cfg(config(work_dir, hooks, **changes))
    runner.train()
    return runner


def seen(runner: SafeRunner) -> list[dict[str, Any]]:
    """What the model remembers of each step."""
    return getattr(runner.model, 'module', runner.model).seen
