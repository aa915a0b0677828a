"""What losses gather while they train."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.benchmark.speed_case import SpeedCase, Workload, require_close
from imbdense.core.losses import labelled_probabilities
from imbdense.core.stats import RunningClassStats, RunningConfusion, RunningGradients, RunningScores

CLASSES = 1203


def _class_statistics(scale: float) -> Workload:
    """Counts, gradients and scores of 1024 regions; the peer walks through the classes, as mmdet's SeesawLoss does."""
    regions = round(1024 * scale)
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, CLASSES + 1, (regions,), generator=generator)
    values = torch.rand(CLASSES, generator=generator)
    counts, gradients, scores = RunningClassStats(CLASSES), RunningGradients(CLASSES), RunningScores(CLASSES)
    seen = torch.zeros(CLASSES + 1)

    def ours() -> Tensor:
        counts.update(target, ignore_index=-1)
        gradients.update(values, values)
        scores.update(values, values)
        return counts.counts.float() / counts.counts.sum()

    def peer() -> Tensor:
        for label in target.unique():
            seen[label] += (target == label.item()).sum()
        return seen[:CLASSES] / seen[:CLASSES].sum()

    return Workload(ours, peer, lambda a, b: require_close('shares of the classes', a, b, 1e-6))


def _confusion(scale: float) -> Workload:
    """512 regions of which a quarter are objects; the peer makes the table of the step and adds it."""
    regions = round(512 * scale)
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(regions, CLASSES + 1, generator=generator)
    target = torch.full((regions,), CLASSES)
    target[::4] = torch.randint(0, CLASSES, (len(target[::4]),), generator=generator)
    table = torch.zeros(CLASSES, CLASSES, dtype=torch.float64)

    def ours() -> Tensor:
        stats.update(*labelled_probabilities(pred, target, CLASSES))
        return stats.total

    def peer() -> Tensor:
        probability = pred[:, :CLASSES].softmax(1)
        step = torch.zeros(CLASSES + 1, CLASSES).index_add_(0, target, probability)[:CLASSES]
        return table.add_(step)

    stats = RunningConfusion(CLASSES)
    return Workload(ours, peer, lambda a, b: require_close('tables', a, b, 1e-6))


CASES = (
    SpeedCase(
        'class-statistics', 'counts, gradients and scores of a step, 1024 regions, 1203 classes',
        'the loop over classes of mmdet SeesawLoss (counts alone)', 0.1, _class_statistics, repeats=11,
        peer_repeats=11, growth=None,
    ),
    SpeedCase(
        'confusion-statistic', 'the confusion of a step, 512 regions, 1203 classes', 'a C×C table per step', 0.35,
        _confusion, repeats=11, peer_repeats=11,
    ),
)
