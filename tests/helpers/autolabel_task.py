"""A segmentation task of seconds in which few human labels do not suffice: autolabels of the whole pool first, or not.

Pictures of 24 x 24 pixels with squares of nine classes, p_c ~ 1 / c. The class is the pattern of a square (plain,
stripes of four directions and two widths, checks); its colours are drawn anew each time, so that 50 pictures do not
tell a pattern from a colour. Autolabels: a quarter of the squares is missed (ground), a tenth gets another class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imbdense.core.metrics.confusion import confusion_table
from imbdense.core.metrics.confusion_scores import confusion_scores
from tests.helpers.selection_task import CLASSES, MISSED, WRONG, learn, network

SIZE, POOL, LABELLED, TEST = 24, 1000, 50, 200
FIRST, SECOND = 600, 300
"""Steps of the two stages; human labels alone are learned for as many steps as the second."""


@dataclass(frozen=True, eq=False)
class Squares:
    """N pictures: images (N, 3, S, S) float32, labels (N, S, S) int64 with 0 = ground, autolabels alike."""

    images: Tensor
    labels: Tensor
    autolabels: Tensor


def pattern(klass: int, y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """-1 and 1: plain, stripes of period 4 in four directions, checks, stripes of period 8 in three directions."""
    w = np.pi / 2
    waves = (
        np.ones_like(x), np.sin(w * x), np.sin(w * y), np.sin(w * (x + y) / 1.4), np.sin(w * (x - y) / 1.4),
        np.sin(w * x) * np.sin(w * y), np.sin(w * x / 2), np.sin(w * y / 2), np.sin(w * (x + y) / 2.8),
    )  # fmt: skip
    return np.where(waves[klass] >= 0, 1.0, -1.0)


def draw(count: int, odds: NDArray[np.float64], seed: int) -> Squares:
    """Draw pictures of 1 + Poisson(.7) squares, and what a proposer that errs says about them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    images = rng.normal(0, 0.3, (count, 3, 1, 1)) + rng.normal(0, 0.5, (count, 3, SIZE, SIZE))
    labels, autolabels = np.zeros((2, count, SIZE, SIZE), np.int64)
    for index in range(count):
        for klass in rng.choice(CLASSES, 1 + rng.poisson(0.7), p=odds / odds.sum()):
            side, (top, left) = int(rng.integers(9, 13)), rng.integers(0, SIZE - 12, 2)
            inside = np.zeros((SIZE, SIZE), bool)
            inside[top : top + side, left : left + side] = True
            inside &= labels[index] == 0
            colour = rng.normal(0, 1, 3)
            drawn = pattern(klass, y + rng.uniform(0, 8), x + rng.uniform(0, 8)) * inside
            images[index] += 1.2 * colour[:, None, None] / np.linalg.norm(colour) * drawn
            images[index] += rng.normal(0, 0.3, 3)[:, None, None] * inside
            labels[index][inside] = klass + 1
            missed, wrong = rng.random(2) < (MISSED, WRONG)
            if not missed:
                autolabels[index][inside] = 1 + (klass + int(rng.integers(1, CLASSES)) * wrong) % CLASSES
    return Squares(torch.from_numpy(images).float(), torch.from_numpy(labels), torch.from_numpy(autolabels))


def stages(seed: int) -> dict[str, float]:
    """mIoU of 50 random pictures of 1000 labelled by people alone; of a first stage on the autolabels of all (the 50
    keep their labels); and after a second one on the 50 with a tenth of the learning rate."""
    pool = draw(POOL, 1 / np.arange(1.0, CLASSES + 1), seed)
    chosen = torch.from_numpy(np.random.default_rng([seed, 1]).choice(POOL, LABELLED, replace=False))
    human = pool.images[chosen], pool.labels[chosen]
    torch.manual_seed(seed)
    model = network()
    learn(model, *human, SECOND, 1e-2)
    found = {'human labels alone': miou(model)}
    pool.autolabels[chosen] = human[1]
    torch.manual_seed(seed)
    model = network()
    learn(model, pool.images, pool.autolabels, FIRST, 1e-2)
    found['first stage'] = miou(model)
    learn(model, *human, SECOND, 1e-3)
    return {**found, 'both stages': miou(model)}


def miou(model: nn.Module) -> float:
    """Over ground and classes, on 200 pictures that hold all classes alike."""
    test = draw(TEST, np.ones(CLASSES), 10**6)
    model.eval()
    with torch.no_grad():
        predicted = model(test.images).argmax(1)
    model.train()
    return float(confusion_scores(confusion_table(predicted, test.labels, CLASSES + 1)).iou.mean())


if __name__ == '__main__':
    runs = [stages(seed) for seed in range(3)]
    for name in runs[0]:
        values = np.array([run[name] for run in runs])
        print(f'{name}: {values.mean():.3f} ± {values.std(ddof=1):.3f} {values.round(3).tolist()}')
