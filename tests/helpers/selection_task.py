"""A segmentation task of seconds whose training images are chosen by a selector.

Pictures of 48 x 48 pixels with 1 + Poisson(2) shapes of nine classes, p_c ~ c^-2.3 (the rarest class is on about one
picture for 60 of the most frequent), three modes per class (p ~ 1 / r) that differ in colour and form. Proposals: the
shapes, of which a quarter is missed and a tenth gets another class. Features: means of a convolution nobody trained.
A network of 5 000 parameters learns from the chosen pictures alone; the test pictures hold all classes alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from imbdense.core.metrics.confusion import confusion_table
from imbdense.core.metrics.confusion_scores import confusion_scores
from imbdense.core.selection import ObjectPool, Selector

CLASSES, MODES, SIZE = 9, 3, 48
ODDS = np.arange(1, CLASSES + 1) ** -2.3
MISSED, WRONG = 0.25, 0.1
RARE = 3


@dataclass(frozen=True, eq=False)
class Pictures:
    """N pictures.

    Attributes:
        images: (N, 3, S, S) float32. labels: (N, S, S) int64, 0 = ground, 1 ... 9 = classes.
        owner, klass, box: (T,), (T,) in [0, 9), (T, 4) of every shape.
        parts: (T, S, S) bool, its pixels.
    """

    images: Tensor
    labels: Tensor
    owner: NDArray[np.int64]
    klass: NDArray[np.int64]
    box: NDArray[np.float32]
    parts: NDArray[np.bool_]


def draw(count: int, odds: NDArray[np.float64], seed: int) -> Pictures:
    """Draw pictures; classes have the same look for all seeds."""
    looks = np.random.default_rng(0)
    colours = looks.normal(0, 1.8, (CLASSES, 1, 3)) + looks.normal(0, 0.7, (CLASSES, MODES, 3))
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    images = rng.normal(0, 0.3, (count, 3, 1, 1)) + rng.normal(0, 0.5, (count, 3, SIZE, SIZE))
    labels = np.zeros((count, SIZE, SIZE), np.int64)
    found: list[tuple[int, int, list[float], NDArray[np.bool_]]] = []
    for index in range(count):
        for own in rng.choice(CLASSES, 1 + rng.poisson(2), p=odds / odds.sum()):
            mode = rng.choice(MODES, p=np.array([6, 3, 2]) / 11)
            side, (top, left) = int(rng.integers(7, 13)), rng.integers(0, SIZE - 13, 2)
            v, u = (y - top) / side - 0.5, (x - left) / side - 0.5
            inside = [np.maximum(abs(u), abs(v)), np.hypot(u, v), abs(u) + abs(v)][mode] <= 0.5
            inside &= labels[index] == 0
            if inside.sum() < 20:
                continue
            images[index][:, inside] += (colours[own, mode] + rng.normal(0, 0.25, 3))[:, None]
            labels[index][inside] = own + 1
            found.append((index, own, [left, top, left + side, top + side], inside))
    owner, klass, box, parts = (np.array(items) for items in zip(*found))
    return Pictures(torch.from_numpy(images).float(), torch.from_numpy(labels), owner, klass, box.astype(np.float32),
                    parts)


def pool_of_proposals(pictures: Pictures, seed: int) -> ObjectPool:
    """What a proposer that errs says about the pictures."""
    rng = np.random.default_rng([seed, 1])
    count = len(pictures.klass)
    kept = np.flatnonzero(rng.random(count) >= MISSED)
    shift = np.where(rng.random(count) < WRONG, rng.integers(1, CLASSES, count), 0)
    named = (pictures.klass + shift) % CLASSES
    torch.manual_seed(0)
    eye = nn.Sequential(nn.Conv2d(3, 32, 5, padding=2), nn.ReLU(), nn.Conv2d(32, 32, 5, padding=2), nn.ReLU())
    with torch.no_grad():
        maps = torch.cat([eye(part) for part in pictures.images.split(64)])
        objects = torch.stack([
            maps[owner][:, torch.from_numpy(part)].mean(1)
            for owner, part in zip(pictures.owner[kept], pictures.parts[kept])
        ])  # fmt: skip
    centred, whole = objects - objects.mean(0), maps.mean((2, 3))
    return ObjectPool(
        [f'class {c + 1}' for c in range(CLASSES)], [f'{i:04}.png' for i in range(len(maps))], pictures.owner[kept],
        named[kept].astype(np.int32), np.ones(len(kept), np.float32), pictures.box[kept],
        pictures.parts[kept].sum((1, 2)).astype(np.float32), centred.numpy(), (whole - whole.mean(0)).numpy())


def trained_iou(images: Tensor, labels: Tensor, seed: int, steps: int = 300) -> NDArray[np.float64]:
    """Train from scratch and return the IoU of each class on 150 test pictures, (1 + 9,), ground first."""
    torch.manual_seed(seed)
    model = network()
    learn(model, images, labels, steps, 1e-2)
    return measured_iou(model)


def network() -> nn.Sequential:
    """Three convolutions that see 15 x 15 pixels."""
    layers: list[nn.Module] = []
    for channels, dilation in ((3, 1), (16, 2), (16, 4)):
        layers += [nn.Conv2d(channels, 16, 3, padding=dilation, dilation=dilation, bias=False), nn.BatchNorm2d(16),
                   nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(16, CLASSES + 1, 1))


def learn(model: nn.Module, images: Tensor, labels: Tensor, steps: int, rate: float) -> None:
    """Half-adjusted cross-entropy, batches of 16, one cycle of AdamW."""
    pixels = 1.0 + torch.bincount(labels.flatten(), minlength=CLASSES + 1)
    prior = 0.5 * (pixels / pixels.sum()).log()[:, None, None]
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for _ in range(steps):
        batch = torch.randint(0, len(images), (16,))
        loss = F.cross_entropy(model(images[batch]) + prior, labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def measured_iou(model: nn.Module) -> NDArray[np.float64]:
    """IoU of ground and classes on 150 pictures that hold all classes alike."""
    test = draw(150, np.ones(CLASSES), 10**6)
    model.eval()
    with torch.no_grad():
        predicted = torch.cat([model(part).argmax(1) for part in test.images.split(50)])
    model.train()
    return confusion_scores(confusion_table(predicted, test.labels, CLASSES + 1)).iou


def selected_iou(selector: Selector, seed: int, images: int = 1000, budget: int = 100) -> NDArray[np.float64]:
    """IoU after training on what a selector chooses of the pool of a seed."""
    pictures = draw(images, ODDS, seed)
    chosen = torch.from_numpy(selector(pool_of_proposals(pictures, seed), budget, seed=seed).images)
    return trained_iou(pictures.images[chosen], pictures.labels[chosen], seed)
