"""A semi-supervised segmentation task of seconds whose unlabelled pool may hold less of the rare class."""

from __future__ import annotations

import copy
import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from imbdense.benchmark.segmentation_shapes import CLASSES, SHARES, draw_pictures
from imbdense.core.losses.pseudo_cross_entropy import pseudo_cross_entropy
from imbdense.core.metrics.confusion import confusion_table
from imbdense.core.metrics.confusion_scores import confusion_scores
from imbdense.core.optim import freeze_teacher, update_teacher
from imbdense.core.pseudo_label import DistributionAlign, ExpectedShareThreshold, FixedThreshold
from imbdense.core.shift import ClassOutputs, estimate_prior_shift, usable_prior
from imbdense.core.views import cutmix_masks, paste

SUPERVISED, FIXMATCH, ESTIMATED, LABELLED = 'supervised', 'fixmatch', 'bbse + class', 'labelled + class'
METHODS = (SUPERVISED, FIXMATCH, ESTIMATED, LABELLED)
K = len(CLASSES)
BATCH = 8
MOMENTUM, TEACHER = 0.95, 0.98
INTERVAL = 25
PER_IMAGE = 200


@dataclass(frozen=True)
class Task:
    """Sizes of the task.

    Attributes:
        labelled, pool, held_out, test: pictures. rare_share: pixel share of the rare class in the pool; elsewhere it is
            5 %. steps: of training. threshold: tau. ramp: steps until the unsupervised term counts fully.
    """

    labelled: int = 20
    pool: int = 380
    held_out: int = 20
    test: int = 100
    rare_share: float = SHARES[-1]
    steps: int = 200
    threshold: float = 0.95
    ramp: int = 80


class SmallUNet(nn.Module):
    """Three levels of 8, 16 and 16 channels: (N, 3, H, W) -> (N, K, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.deep = _block(3, 8), _block(8, 16)
        self.deepest, self.up = _block(16, 16), _block(32, 16)
        self.last = nn.Sequential(_block(24, 8), nn.Conv2d(8, K, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Logits."""
        first = self.first(image)
        deep = self.deep(F.max_pool2d(first, 2))
        deepest = self.deepest(F.max_pool2d(deep, 2))
        up = self.up(torch.cat([deep, F.interpolate(deepest, scale_factor=2.0)], 1))
        logits: Tensor = self.last(torch.cat([first, F.interpolate(up, scale_factor=2.0)], 1))
        return logits


def _block(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def class_ious(task: Task, method: str, seed: int) -> NDArray[np.float64]:
    """Train one way and return the IoU of each class, (K,), of the EMA teacher on test pictures with 5 % of the rarest.

    The labelled, held-out and unlabelled pictures, the network and the draws follow from ``seed``; the test pictures
    are always the same.

    Args:
        method: one of :data:`METHODS`.
    """
    torch.manual_seed(seed)
    data = Pictures(task, seed)
    student = SmallUNet()
    teacher = copy.deepcopy(student)
    freeze_teacher(teacher)
    refiner, rule = parts(task, method)
    optimiser = torch.optim.AdamW(student.parameters(), lr=5e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=task.steps, pct_start=0.1)
    for step in range(task.steps):
        if method == ESTIMATED and step >= task.ramp // 2 and step % INTERVAL == 0:
            tell_prior(teacher, data, refiner, rule)
        image, label = data.labelled_batch()
        loss = F.cross_entropy(student(image), label)
        if method != SUPERVISED:
            ramp = math.exp(-5.0 * (1.0 - step / task.ramp) ** 2) if step < task.ramp else 1.0
            loss = loss + ramp * unsupervised(student, teacher, data.pool_batch(), refiner, rule)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        update_teacher(teacher, student, min(1.0 - 1.0 / (step + 2), TEACHER))
    predicted = outputs(teacher, data.test[0]).argmax(1)
    return confusion_scores(confusion_table(predicted, data.test[1], K)).iou


class Pictures:
    """The four sets as tensors, and augmented batches of them."""

    def __init__(self, task: Task, seed: int) -> None:
        chance = task.rare_share / SHARES[-1]
        self.labelled = _tensors(task.labelled, 1.0, (seed, 1))
        self.held_out = _tensors(task.held_out, 1.0, (seed, 2))
        self.pool = _tensors(task.pool, chance, (seed, 3))[0]
        self.test = _tensors(task.test, 1.0, (10**6,))

    def labelled_batch(self) -> tuple[Tensor, Tensor]:
        """Flipped at random."""
        index = torch.randint(len(self.labelled[0]), (BATCH,))
        image, label = (part[index] for part in self.labelled)
        axes = [axis for axis in (-1, -2) if torch.rand(()) < 0.5]
        return image.flip(axes), label.flip(axes)

    def pool_batch(self) -> Tensor:
        """The weak views, flipped at random."""
        image = self.pool[torch.randint(len(self.pool), (BATCH,))]
        return image.flip([axis for axis in (-1, -2) if torch.rand(()) < 0.5])


def strong_view(image: Tensor) -> Tensor:
    """Other brightness and contrast per picture, other brightness per channel, noise."""
    count = len(image)
    gain = 1.0 + 0.3 * torch.randn(count, 1, 1, 1)
    shift = 0.3 * torch.randn(count, 1, 1, 1) + 0.1 * torch.randn(count, 3, 1, 1)
    return image * gain + shift + 0.1 * torch.randn_like(image)


def parts(task: Task, method: str) -> tuple[DistributionAlign | None, nn.Module]:
    """(refiner or ``None``, pseudo-label rule) of a method."""
    if method in (SUPERVISED, FIXMATCH):
        return None, FixedThreshold(K, task.threshold)
    target = 'bbse' if method == ESTIMATED else SHARES
    return (
        DistributionAlign(K, target, momentum=MOMENTUM),
        ExpectedShareThreshold(K, task.threshold, expected=target, momentum=MOMENTUM),
    )


def unsupervised(
    student: nn.Module, teacher: nn.Module, weak: Tensor, refiner: nn.Module | None, rule: nn.Module
) -> Tensor:
    """FixMatch with CutMix: sum over the accepted pixels over all pixels."""
    with torch.no_grad():
        probs = teacher(weak).softmax(1)
        pseudo = rule(probs if refiner is None else refiner(probs))
    mask = cutmix_masks(len(weak), *weak.shape[-2:], probability=0.5, device=weak.device)
    strong = strong_view(weak)
    strong = paste(strong, strong.roll(1, 0), mask)
    label = paste(pseudo.label, pseudo.label.roll(1, 0), mask)
    return pseudo_cross_entropy(student(strong), label)


def tell_prior(teacher: nn.Module, data: Pictures, refiner: nn.Module, rule: nn.Module) -> None:
    """Estimate the class shares of the pool from the teacher and hand them on."""
    rng = np.random.default_rng(0)
    pool = _drawn(outputs(teacher, data.pool), None, rng)
    found = estimate_prior_shift(_drawn(outputs(teacher, data.held_out[0]), data.held_out[1], rng), pool, bootstraps=0)
    prior = usable_prior(found, pool)
    for part in (refiner, rule):
        part.target.set_prior(prior)


@torch.no_grad()
def outputs(network: nn.Module, images: Tensor) -> Tensor:
    """(N, K, H, W) logits in evaluation mode."""
    mode = network.training
    network.eval()
    found = torch.cat([network(part) for part in images.split(50)])
    network.train(mode)
    return found


def _drawn(logits: Tensor, label: Tensor | None, rng: np.random.Generator) -> ClassOutputs:
    """Outputs at drawn pixels of every picture."""
    flat = logits.movedim(1, -1).flatten(1, 2)
    places = torch.from_numpy(rng.integers(0, flat.shape[1], (len(flat), PER_IMAGE)))
    rows = torch.arange(len(flat))[:, None].expand_as(places)
    known = torch.full_like(places, -1) if label is None else label.flatten(1)[rows, places]
    return ClassOutputs(
        flat[rows, places].flatten(0, 1).numpy(), known.flatten().numpy(), np.ones(places.numel()),
        rows.flatten().numpy(),
    )


@functools.cache
def _tensors(count: int, chance: float, seed: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """(images (N, 3, 40, 40) float32 of about unit size, labels int64)."""
    images, labels = draw_pictures(count, chance, seed)
    scaled = (torch.from_numpy(images).float().movedim(-1, 1) - 110.0) / 40.0
    return scaled, torch.from_numpy(labels).long()
