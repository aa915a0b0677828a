"""A small Mamba-FCS and batches of pairs."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.structures import PixelData

from imbdense.mm.structures.scd_data_sample import SCDDataSample
from imbdense.registry import MODELS

CLASSES = 3


def detector_config(**options: Any) -> dict[str, Any]:
    """Two stages of 16 and 32 channels; ``options`` are merged into the parts they name."""
    config: dict[str, Any] = {
        'backbone': {'type': 'imbdense.VSSM', 'dims': (16, 32), 'depths': (1, 1), 'out_indices': (0, 1)},
        'neck': {'type': 'imbdense.JSFusionNeck'},
        'change_head': {'type': 'imbdense.VSSChangeHead'},
        'semantic_head': {'type': 'imbdense.CGASemanticHead', 'num_classes': CLASSES},
    }
    for name, value in options.items():
        config[name] = {**config[name], **value} if name in config else value
    return {'type': 'imbdense.SemanticChangeDetector', **config}


def make_detector(**options: Any) -> Any:
    """Built from a fixed seed."""
    torch.manual_seed(0)
    return MODELS.build(detector_config(**options))


def pairs(number: int = 2, size: tuple[int, int] = (24, 20), bands: int = 3, **meta: Any) -> tuple[Any, list[Any]]:
    """Inputs (N, 2 B, H, W) and samples; date 2 is brighter where the land changed."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(number, 2 * bands, *size, generator=generator)
    samples = []
    for image in inputs:
        change = torch.zeros(1, *size, dtype=torch.int64)
        change[:, 4:16, 3:14] = 1
        image[bands:, change[0] == 1] += 3
        sample = SCDDataSample(metainfo={'ori_shape': size, 'img_shape': size, **meta})
        sample.gt_sem_seg = PixelData(data=change)
        for date in (1, 2):
            land = torch.randint(0, CLASSES, (1, *size), generator=generator)
            sample.set_data({f'gt_sem_t{date}': PixelData(data=torch.where(change == 1, land, 255))})
        samples.append(sample)
    return inputs, samples
