"""A training run of a tiny segmentor on batches with branches, like a semi-supervised segmentor takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.structures import PixelData
from mmseg.registry import DATASETS, MODELS
from mmseg.structures import SegDataSample
from torch.utils.data import Dataset

from tests.mm.hooks.tiny_run import config as tiny_config

CLASSES = ('ground', 'roof', 'mast')
SEEN: list[list[float]] = []
"""``shift_weight`` of the strong branch, per iteration, as the model got it."""


@DATASETS.register_module(force=True)
class BranchedImages(Dataset):
    """Labelled and unlabelled images side by side; the unlabelled ones may be inverted from index ``odd`` on."""

    metainfo = {'classes': CLASSES}
    ignore_index = 255

    def __init__(self, images: int = 40, invert_from: int = 10**6) -> None:
        self.images, self.invert_from = images, invert_from

    def __len__(self) -> int:
        """Images per side."""
        return self.images

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One labelled and one unlabelled image."""
        inputs, samples = {}, {}
        for number, branch in enumerate(('sup', 'unsup_weak', 'unsup_strong')):
            rng = np.random.default_rng((index, min(number, 1)))
            label = np.zeros((24, 24), np.int64)
            y, x = rng.integers(1, 14, 2)
            label[y : y + 6, x : x + 8] = 1
            image = rng.integers(0, 60, (3, 24, 24)) + label * 80
            if number and index >= self.invert_from:
                image = 255 - image
            sample = SegDataSample(metainfo={'img_path': f'{branch[:3]}/{index}.png', 'img_shape': (24, 24),
                                             'ori_shape': (50, 50), 'flip': True, 'flip_direction': 'horizontal'})
            if branch == 'sup':
                sample.gt_sem_seg = PixelData(data=torch.from_numpy(label)[None])
            inputs[branch], samples[branch] = torch.from_numpy(image.astype(np.uint8)), sample
        return {'inputs': inputs, 'data_samples': samples}


@MODELS.register_module(force=True)
class SupervisedOnBranches(BaseModel):
    """Trains on the labelled branch; tests as its segmentor."""

    def __init__(self, segmentor: dict[str, Any]) -> None:
        super().__init__()
        self.student = MODELS.build(segmentor)
        self.data_preprocessor = self.student.data_preprocessor

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, torch.Tensor]:
        """One step on the labelled branch."""
        SEEN.append([sample.metainfo.get('shift_weight', 1.0) for sample in data['data_samples']['unsup_strong']])
        return self.student.train_step(
            {'inputs': data['inputs']['sup'], 'data_samples': data['data_samples']['sup']}, optim_wrapper
        )

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """That of the segmentor."""
        return self.student(*args, **kwargs)


def config(folder: Path, hook: dict[str, Any] | None, iterations: int = 12, **dataset: Any) -> Config:
    """The run."""
    cfg = tiny_config(folder, folder / 'run', loss={'type': 'CrossEntropyLoss'}, hooks=[] if hook is None else [hook])
    cfg.model = {'type': 'SupervisedOnBranches', 'segmentor': cfg.model}
    cfg.train_dataloader = {
        'batch_size': 4, 'num_workers': 0, 'sampler': {'type': 'InfiniteSampler', 'shuffle': False},
        'dataset': {'type': 'BranchedImages', **dataset}, 'collate_fn': {'type': 'pseudo_collate'},
    }  # fmt: skip
    cfg.train_cfg = {'type': 'IterBasedTrainLoop', 'max_iters': iterations, 'val_interval': 10**6}
    cfg.optim_wrapper.optimizer.lr = 0.002
    for key in ('val_dataloader', 'val_evaluator', 'val_cfg', 'test_dataloader', 'test_evaluator', 'test_cfg'):
        cfg.pop(key)
    return cfg
