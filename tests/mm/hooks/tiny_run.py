"""A segmentation run of a few iterations on a handful of PNG files: real Runner, real mmseg data set and head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.registry import MODELS
from PIL import Image
from torch import nn

CLASSES = ('ground', 'roof', 'mast')


@MODELS.register_module(force=True)
class OneConvBackbone(nn.Module):
    """One 3 x 3 convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)

    def forward(self, image: Any) -> tuple[Any]:
        """One feature map."""
        return (self.conv(image).relu(),)


def write_dataset(folder: Path, images: int = 8) -> None:
    """Mostly ground, some roof, a mast of 2 x 2 pixels on every fourth image."""
    generator = np.random.default_rng(0)
    for split in ('train', 'val'):
        for kind in ('images', 'labels'):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
        for index in range(images):
            label = np.zeros((24, 24), np.uint8)
            label[4:10, 4:12] = 1
            if index % 4 == 0:
                label[15:17, 15:17] = 2
            label[0] = 255
            image = generator.integers(0, 60, (24, 24, 3)) + label[..., None].clip(0, 2) * 80
            Image.fromarray(image.astype(np.uint8)).save(folder / 'images' / split / f'{index}.png')
            Image.fromarray(label).save(folder / 'labels' / split / f'{index}.png')


def _loader(folder: Path, split: str, sampler: dict[str, Any]) -> dict[str, Any]:
    return {
        'batch_size': 2 if split == 'train' else 1,
        'num_workers': 0,
        'sampler': sampler,
        'dataset': {
            'type': 'BaseSegDataset', 'data_root': str(folder), 'img_suffix': '.png', 'metainfo': {'classes': CLASSES},
            'data_prefix': {'img_path': f'images/{split}', 'seg_map_path': f'labels/{split}'},
            'pipeline': [
                {'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}, {'type': 'PackSegInputs'}
            ],
        },
    }  # fmt: skip


def config(folder: Path, work_dir: Path, **changes: Any) -> Config:
    """The run; ``loss``, ``sampler``, ``hooks`` and ``load_from`` may be changed."""
    loss = changes.get('loss', {'type': 'imbdense.BalancedSoftmaxLoss'})
    test_loader = _loader(folder, 'val', {'type': 'DefaultSampler', 'shuffle': False})
    return Config(
        {
            'default_scope': 'mmseg',
            'work_dir': str(work_dir),
            'model': {
                'type': 'EncoderDecoder',
                'data_preprocessor': {
                    'type': 'SegDataPreProcessor', 'mean': [60.0] * 3, 'std': [60.0] * 3, 'size': (24, 24),
                    'pad_val': 0, 'seg_pad_val': 255,
                },
                'backbone': {'type': 'OneConvBackbone'},
                'decode_head': {
                    'type': 'FCNHead', 'in_channels': 6, 'channels': 6, 'num_convs': 0, 'concat_input': False,
                    'num_classes': 3, 'dropout_ratio': 0, 'loss_decode': loss,
                },
                'train_cfg': {}, 'test_cfg': {'mode': 'whole'},
            },
            'train_dataloader': _loader(folder, 'train', changes.get('sampler', {'type': 'DefaultSampler'})),
            'val_dataloader': test_loader, 'test_dataloader': test_loader,
            'val_evaluator': {'type': 'imbdense.ConfusionMetric'},
            'test_evaluator': {'type': 'imbdense.ConfusionMetric'},
            'optim_wrapper': {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 0.05}},
            'train_cfg': {'type': 'EpochBasedTrainLoop', 'max_epochs': 1, 'val_interval': 1},
            'val_cfg': {'type': 'ValLoop'}, 'test_cfg': {'type': 'TestLoop'},
            'custom_hooks': changes.get('hooks', [{'type': 'imbdense.ClassCountHook'}]),
            'load_from': changes.get('load_from'),
            'randomness': {'seed': 0}, 'log_level': 'ERROR',
            'experiment_name': f'tiny_{work_dir.name}_{abs(hash(str(work_dir)))}',
        }
    )  # fmt: skip


def runner(folder: Path, work_dir: Path, **changes: Any) -> Runner:
    """A fresh runner of :func:`config`."""
    return Runner.from_cfg(config(folder, work_dir, **changes))
