"""A model and a data set that train in milliseconds, with everything that makes resuming hard: augmentation and
dropout draw random numbers, the optimiser has momentum, batch norm has running statistics."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS
from torch import nn
from torch.utils.data import Dataset


@DATASETS.register_module(force=True)
class ToyDataset(Dataset):
    """Random vectors; each draw adds noise from all three global generators."""

    METAINFO = {'classes': ('a', 'b')}

    def __init__(self, size: int = 24, poison: str = '', broken: int = -1) -> None:
        self.size, self.poison, self.broken = size, poison, broken
        self.metainfo = self.METAINFO

    def __len__(self) -> int:
        return self.size

    def get_data_info(self, index: int) -> dict[str, Any]:
        return {'img_path': f'image_{index}.png'}

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index == self.broken:
            raise OSError('image file is truncated')
        base = np.random.default_rng(index).normal(size=8)
        noisy = base + 0.1 * np.random.normal(size=8) + 0.1 * random.random()
        return {'inputs': torch.from_numpy(noisy).float() + 0.1 * torch.randn(8), 'label': index % 2}


@MODELS.register_module(force=True)
class ToyModel(BaseModel):
    """Two layers with batch norm and dropout; ``nan_at`` makes the loss NaN, ``delay`` makes an iteration slow."""

    def __init__(self, nan_at: int = -1, delay: float = 0.0) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))
        self.nan_at, self.delay, self.calls = nan_at, delay, 0

    def forward(self, inputs: list[torch.Tensor], label: list[int], mode: str = 'tensor') -> Any:
        time.sleep(self.delay)
        self.calls += 1
        logits = self.net(torch.stack(list(inputs)))
        loss = nn.functional.cross_entropy(logits, torch.as_tensor(label))
        if self.calls == self.nan_at:
            loss = loss * float('nan')
        return {'loss_toy': loss} if mode == 'loss' else logits


CONFIG = """
custom_imports = dict(imports=['tests.integration.toy'])
model = dict(type='ToyModel', nan_at={nan_at}, delay={delay})
train_dataloader = dict(batch_size=4, num_workers={workers}, persistent_workers={workers} > 0, drop_last=True,
    sampler=dict(type='{sampler}', shuffle=True), dataset=dict(type='ToyDataset', broken={broken}))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.9))
param_scheduler = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=20)]
train_cfg = {train_cfg}
default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval={interval}, by_epoch={by_epoch}, max_keep_ckpts=2),
    logger=dict(type='LoggerHook', interval=5))
log_processor = dict(by_epoch={by_epoch})
env_cfg = dict(mp_cfg=dict(mp_start_method='fork'))
randomness = dict(seed={seed})
"""


def write_config(folder: Path, **options: Any) -> Path:
    """Write a toy config into ``folder``; ``loop='iter'`` (40 iterations) or ``'epoch'`` (6 epochs of 6)."""
    by_epoch = options.pop('loop', 'iter') == 'epoch'
    values: dict[str, Any] = {
        'nan_at': -1, 'delay': 0.0, 'workers': 0, 'broken': -1, 'seed': 7, 'by_epoch': by_epoch,
        'interval': 1 if by_epoch else 8,
        'sampler': 'DefaultSampler' if by_epoch else 'InfiniteSampler',
        'train_cfg': 'dict(by_epoch=True, max_epochs=6)' if by_epoch else 'dict(by_epoch=False, max_iters=40)',
        **options,
    }
    path = folder / f'toy_{folder.name}.py'  # its name becomes the name of the host's global objects
    path.write_text(CONFIG.format(**values))
    return path
