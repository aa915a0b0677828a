"""A long-tailed segmentation task of seconds, for losses that claim to help rare classes.

4-channel 32 x 32 images, three random squares each, five classes with odds .6 / .25 / .1 / .04 / .01 on background,
noise sigma 1.2, a three-layer network, AdamW 3e-3, batch 8, 150 iterations, a balanced test set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 6
TAIL = torch.tensor([0.60, 0.25, 0.10, 0.04, 0.01])


@dataclass(frozen=True)
class Batch:
    """What a loss gets: logits (8, 6, 32, 32), labels (8, 32, 32), counts (6,) of the training set, the features
    (8, 16, 32, 32) in front of the classifier, and how much of the training is done, in [0, 1)."""

    logits: Tensor
    labels: Tensor
    counts: Tensor
    features: Tensor
    progress: float


Loss = Callable[[Batch], Tensor]


@dataclass(frozen=True)
class Result:
    """Recall and IoU per class on the balanced test set, (6,) each, class 0 = background."""

    recall: Tensor
    iou: Tensor

    @property
    def rare_recall(self) -> float:
        """Mean recall of the two rarest classes."""
        return float(self.recall[4:].mean())

    @property
    def mean_iou(self) -> float:
        """Mean over all classes."""
        return float(self.iou.mean())


class CosineConv(nn.Conv2d):
    """A bias-free 1 x 1 convolution of unit vectors: its logits are cosines."""

    def forward(self, features: Tensor) -> Tensor:
        """(N, D, H, W) -> (N, C, H, W) in [-1, 1]."""
        return F.conv2d(F.normalize(features, dim=1), F.normalize(self.weight, dim=1))


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


def train_and_test(loss: Loss, seed: int, *, cosine: bool = False) -> Result:
    """Train with ``loss`` and measure; ``cosine`` takes a cosine classifier instead of a 3 x 3 convolution."""
    images, labels = make_images(160, TAIL, seed)
    counts = torch.bincount(labels.flatten(), minlength=CLASSES).double()
    torch.manual_seed(seed)
    body = nn.Sequential(
        nn.Conv2d(4, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()
    )  # fmt: skip
    classifier = CosineConv(16, CLASSES, 1, bias=False) if cosine else nn.Conv2d(16, CLASSES, 3, padding=1)
    optimizer = torch.optim.AdamW([*body.parameters(), *classifier.parameters()], 3e-3)
    generator = torch.Generator().manual_seed(seed)
    for step in range(150):
        batch = torch.randint(0, 160, (8,), generator=generator)
        features = body(images[batch])
        value = loss(Batch(classifier(features), labels[batch], counts, features, step / 150))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    images, labels = make_images(80, torch.full((5,), 0.2), 1000 + seed)
    with torch.no_grad():
        predicted = classifier(body(images)).argmax(1)
    table = torch.bincount(labels.flatten() * CLASSES + predicted.flatten(), minlength=CLASSES**2)
    table = table.reshape(CLASSES, CLASSES).double()
    hit = table.diag()
    return Result(hit / table.sum(1), hit / (table.sum(0) + table.sum(1) - hit))


def mean_result(loss: Loss, seeds: tuple[int, ...], *, cosine: bool = False) -> Result:
    """Mean over seeds."""
    runs = [train_and_test(loss, seed, cosine=cosine) for seed in seeds]
    return Result(torch.stack([r.recall for r in runs]).mean(0), torch.stack([r.iou for r in runs]).mean(0))
