"""A behaviour that can fail: over-, under-sampling and thresholding on a long-tailed segmentation task, three seeds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.core.sampling import RateStream, RepeatFactorStream, keep_rates, oversampling_factors
from imbdense.core.stats import ImageClassTable
from tests.helpers.long_tail_task import CLASSES, TAIL, make_images

Scores = dict[str, tuple[Tensor, Tensor]]


def train_and_test(sampling: str, seed: int) -> Scores:
    """Recall and IoU per class on a balanced test set, as trained and with scores divided by the effective prior."""
    images, labels = make_images(160, TAIL, seed)
    table = ImageClassTable.from_dense([np.bincount(label.flatten(), minlength=CLASSES) for label in labels.numpy()])
    stream = {
        'plain': lambda: RateStream(np.ones(160)),
        'over': lambda: RepeatFactorStream(oversampling_factors(table)),
        'under': lambda: RateStream(keep_rates(table)),
    }[sampling]()
    effective = torch.as_tensor(table.expected_totals(stream.draw_rates()))
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(4, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, CLASSES, 3, padding=1),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    draws = stream.endless(seed)
    for _ in range(150):
        batch = torch.tensor([next(draws) for _ in range(8)])
        loss = F.cross_entropy(net(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    images, labels = make_images(80, torch.full((5,), 0.2), 1000 + seed)
    with torch.no_grad():
        logits = net(images)
    shift = (effective / effective.sum()).clamp_min(1e-12).log().float().view(1, -1, 1, 1)
    return {'as trained': scores(logits, labels), 'thresholded': scores(logits - shift, labels)}


def scores(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    table = torch.bincount(labels.flatten() * CLASSES + logits.argmax(1).flatten(), minlength=CLASSES**2)
    table = table.reshape(CLASSES, CLASSES).double()
    return table.diag() / table.sum(1), table.diag() / (table.sum(0) + table.sum(1) - table.diag())


@pytest.mark.slow
def test_rare_classes_are_found() -> None:
    rare, background, mean_iou = {}, {}, {}
    for sampling in ('plain', 'over', 'under'):
        runs = [train_and_test(sampling, seed) for seed in (0, 1, 2)]
        for name in ('as trained', 'thresholded'):
            recall = torch.stack([run[name][0] for run in runs]).mean(0)
            iou = torch.stack([run[name][1] for run in runs]).mean(0)
            key = f'{sampling} {name}'
            rare[key], background[key], mean_iou[key] = float(recall[4:].mean()), float(iou[0]), float(iou.mean())
            print(f'{key}: recall {recall.numpy().round(2)}, IoU {iou.numpy().round(2)}')
    base = 'plain as trained'
    assert rare['over as trained'] >= rare[base] + 0.2
    assert rare['plain thresholded'] >= rare[base] + 0.2
    assert rare['under as trained'] >= rare[base] + 0.2
    assert background['plain thresholded'] < background[base], 'thresholding pays with the background'
    assert mean_iou['over as trained'] > mean_iou['under as trained'] > mean_iou[base]
