"""Muon in a long-tailed segmentation task with plain cross-entropy: the rare classes are found earlier than by AdamW.

The task of ``tests/core/losses/long_tail_task.py`` with a network of three 24-channel layers and a classifier; the two
hidden layers are Muon's, the first layer, the classifier and the biases AdamW's.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.core.optim import MuonAdamW
from tests.helpers.long_tail_task import CLASSES, TAIL, make_images

SEEDS = (0, 1, 2)
Make = Callable[[nn.Sequential], torch.optim.Optimizer]


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(4, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, 24, 3, padding=1), nn.ReLU(),
        nn.Conv2d(24, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, CLASSES, 1),
    )  # fmt: skip


def adamw(net: nn.Sequential) -> torch.optim.Optimizer:
    return torch.optim.AdamW(net.parameters(), 3e-3)


def muon(net: nn.Sequential) -> torch.optim.Optimizer:
    hidden = [net[2].weight, net[4].weight]
    others = [param for param in net.parameters() if all(param is not weight for weight in hidden)]
    groups = [{'params': hidden, 'use_muon': True}, {'params': others, 'use_muon': False}]
    return MuonAdamW(groups, 3e-3, muon_lr=0.02, scale='original')


def train_and_test(make: Make, seed: int) -> tuple[Tensor, Tensor]:
    """Recall and IoU per class on a balanced test set after 150 iterations."""
    images, labels = make_images(160, TAIL, seed)
    torch.manual_seed(seed)
    net = network()
    optimizer = make(net)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(150):
        batch = torch.randint(0, 160, (8,), generator=generator)
        optimizer.zero_grad()
        F.cross_entropy(net(images[batch]), labels[batch]).backward()
        optimizer.step()
    images, labels = make_images(80, torch.full((5,), 0.2), 1000 + seed)
    with torch.no_grad():
        found = net(images).argmax(1)
    table = torch.bincount((labels * CLASSES + found).flatten(), minlength=CLASSES**2).view(CLASSES, CLASSES).double()
    hit = table.diag()
    return hit / table.sum(1), hit / (table.sum(0) + table.sum(1) - hit)


@pytest.mark.slow
def test_rare_classes_are_found_with_plain_cross_entropy() -> None:
    mean = {}
    for name, make in (('AdamW', adamw), ('Muon', muon)):
        runs = [train_and_test(make, seed) for seed in SEEDS]
        recall, iou = (torch.stack([run[part] for run in runs]).mean(0) for part in (0, 1))
        mean[name] = (float(recall[4:].mean()), float(iou.mean()), float(recall[0]))
        print(f'{name}: recall {recall.numpy().round(3)}, two rarest {mean[name][0]:.3f}, mIoU {mean[name][1]:.3f}')
    assert mean['Muon'][0] >= mean['AdamW'][0] + 0.40
    assert mean['Muon'][1] >= mean['AdamW'][1] + 0.20
    assert mean['Muon'][2] >= 0.98
