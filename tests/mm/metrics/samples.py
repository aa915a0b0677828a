"""Small random evaluation samples in the form mmengine's Evaluator hands to a metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from imbdense.registry import METRICS

CLASSES = ('road', 'roof', 'car', 'crane', 'pylon')
SHARES = torch.tensor([0.6, 0.3, 0.08, 0.02, 0.0])
"""'pylon' is never there."""


def segmentation_samples(number: int, seed: int = 0, side: int = 24, dtype: torch.dtype = torch.float32) -> list[Any]:
    """Samples with labels (10 % ignored), logits and the argmax prediction; two 'city' subgroups."""
    gen = torch.Generator().manual_seed(seed)
    samples = []
    for index in range(number):
        label = torch.multinomial(SHARES, side * side, replacement=True, generator=gen).view(side, side)
        logits = torch.randn(5, side, side, generator=gen)
        logits += 1.5 * torch.nn.functional.one_hot(label, 5).permute(2, 0, 1)
        logits[4] -= 2
        logits = logits.to(dtype)
        label[torch.rand(side, side, generator=gen) < 0.1] = 255
        samples.append(
            {
                'gt_sem_seg': {'data': label[None]},
                'pred_sem_seg': {'data': logits.float().argmax(0, keepdim=True)},
                'seg_logits': {'data': logits},
                'img_path': f'/data/{index}.png',
                'city': f'city{index % 2}',
            }
        )
    return samples


def evaluate(
    config: Mapping[str, Any], samples: Sequence[Any], batch: int = 2, classes: Sequence[str] = CLASSES
) -> tuple[dict[str, float], Any]:
    """Build the metric, feed the samples in batches, evaluate; return (scalars, metric)."""
    metric = METRICS.build(dict(config))
    metric.dataset_meta = {'classes': classes}
    for start in range(0, len(samples), batch):
        metric.process(None, samples[start : start + batch])
    return metric.evaluate(len(samples)), metric
