"""A behaviour that can fail: a long-tailed segmentation task of half a minute, trained with and without balancing.

The task of the project's specification in a reduced form: 4-channel 32 x 32 images, three random squares each, five
classes with odds .6 / .25 / .1 / .04 / .01 on background, noise sigma 1.2, a three-layer network, AdamW 3e-3, batch 8,
a balanced test set.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.core.losses import balanced_softmax_loss, per_class_dice_loss, reweighted_ce_loss
from imbdense.core.stats import class_weights

CLASSES = 6
TAIL = torch.tensor([0.60, 0.25, 0.10, 0.04, 0.01])
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def make_images(number: int, odds: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Images of squares whose class is told by a colour under noise."""
    generator = torch.Generator().manual_seed(seed)
    colours = torch.randn(CLASSES, 4, generator=torch.Generator().manual_seed(7)) * 1.5
    colours[0] = 0
    labels = torch.zeros(number, 32, 32, dtype=torch.long)
    for label in labels:
        for klass in torch.multinomial(odds, 3, True, generator=generator).tolist():
            size = int(torch.randint(4, 9, (1,), generator=generator))
            y, x = torch.randint(0, 32 - size, (2,), generator=generator).tolist()
            label[y : y + size, x : x + size] = klass + 1
    images = colours[labels].movedim(-1, 1)
    return images + 1.2 * torch.randn(images.shape, generator=generator), labels


def train_and_test(loss: Loss, seed: int) -> tuple[Tensor, Tensor]:
    """Recall and IoU per class on a balanced test set."""
    images, labels = make_images(160, TAIL, seed)
    counts = torch.bincount(labels.flatten(), minlength=CLASSES).double()
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(4, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, CLASSES, 3, padding=1),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(150):
        batch = torch.randint(0, 160, (8,), generator=generator)
        value = loss(net(images[batch]), labels[batch], counts)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    images, labels = make_images(80, torch.full((5,), 0.2), 1000 + seed)
    with torch.no_grad():
        table = torch.bincount(
            labels.flatten() * CLASSES + net(images).argmax(1).flatten(), minlength=CLASSES**2
        ).reshape(CLASSES, CLASSES).double()
    hit = table.diag()
    return hit / table.sum(1), hit / (table.sum(0) + table.sum(1) - hit)


def plain(pred: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    return F.cross_entropy(pred, target)


def balanced(pred: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    return balanced_softmax_loss(pred, target, counts)


def balanced_with_dice(pred: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    return balanced_softmax_loss(pred, target, counts) + per_class_dice_loss(pred, target)


def weighted(scheme: str, pred: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    return reweighted_ce_loss(pred, target, torch.as_tensor(class_weights(counts, scheme)))


@pytest.fixture(scope='module')
def reference() -> tuple[Tensor, Tensor]:
    """Plain cross-entropy, mean over two seeds."""
    runs = [train_and_test(plain, seed) for seed in (0, 1)]
    return torch.stack([r[0] for r in runs]).mean(0), torch.stack([r[1] for r in runs]).mean(0)


@pytest.mark.parametrize(
    'loss',
    [balanced, balanced_with_dice, partial(weighted, 'effective')],
    ids=['balanced softmax', 'balanced softmax + dice', 'effective number'],
)
def test_rare_classes_are_found_and_the_background_is_kept(loss: Loss, reference: tuple[Tensor, Tensor]) -> None:
    runs = [train_and_test(loss, seed) for seed in (0, 1)]
    recall, iou = torch.stack([r[0] for r in runs]).mean(0), torch.stack([r[1] for r in runs]).mean(0)
    print(f'recall {recall.numpy().round(2)} (CE {reference[0].numpy().round(2)}), '
          f'mIoU {iou.mean():.3f} (CE {reference[1].mean():.3f})')  # fmt: skip
    assert recall[4:].mean() >= reference[0][4:].mean() + 0.40
    assert iou.mean() >= reference[1].mean() + 0.10
    assert recall[0] >= 0.90
