"""A long-tailed detection task without images: regions are Gaussian features, the head is a small network.

Ten classes, 1000 : 10 objects in the training set, background regions of which a third look like a piece of an object.
A training step takes 512 regions, a quarter of them objects, as the box head of Faster R-CNN. At test time every image
keeps its ``max_dets`` highest (region, class) scores above ``score_thr``; the score of a class decides its AP50, the
competition between classes decides what is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

C = 10
DIM = 16
NUMBERS = torch.tensor([1000, 599, 359, 215, 129, 77, 46, 28, 17, 10])
GROUPS = {'rare': [7, 8, 9], 'common': [4, 5, 6], 'frequent': [0, 1, 2, 3]}
IMAGES, OBJECTS, OTHERS = 2000, 6, 42

Scores = Callable[[Tensor], Tensor]


class Task:
    """The data of one seed: training objects, and test images with the same long-tailed classes."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.centres = 0.75 * torch.randn(C, DIM, generator=self.generator)
        self.labels = torch.repeat_interleave(torch.arange(C), NUMBERS)
        self.objects = self._objects(self.labels)
        truth = torch.multinomial(NUMBERS.float(), IMAGES * OBJECTS, True, generator=self.generator)
        background = torch.full((IMAGES, OTHERS), C)
        self.test_labels = torch.cat([truth.view(IMAGES, OBJECTS), background], 1)
        features = [self._objects(truth).view(IMAGES, OBJECTS, DIM),
                    self._background(IMAGES * OTHERS).view(IMAGES, OTHERS, DIM)]
        self.test_features = torch.cat(features, 1)

    def batch(self) -> tuple[Tensor, Tensor]:
        """128 object and 384 background regions of a training step."""
        picked = torch.randint(0, len(self.labels), (128,), generator=self.generator)
        jitter = 0.3 * torch.randn(128, DIM, generator=self.generator)
        features = torch.cat([self.objects[picked] + jitter, self._background(384)])
        return features, torch.cat([self.labels[picked], torch.full((384,), C)])

    def _objects(self, labels: Tensor) -> Tensor:
        return self.centres[labels] + torch.randn(len(labels), DIM, generator=self.generator)

    def _background(self, number: int) -> Tensor:
        piece = torch.multinomial(NUMBERS.float(), number, True, generator=self.generator)
        like = (torch.rand(number, 1, generator=self.generator) < 1 / 3) * 0.5
        return like * self.centres[piece] + torch.randn(number, DIM, generator=self.generator)


def train(task: Task, loss: Any, channels: int, seed: int, steps: int = 1500) -> nn.Module:
    """A network of one hidden layer, trained as a box head trains its classifier."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(DIM, 64), nn.ReLU(), nn.Linear(64, channels))
    nn.init.normal_(net[2].weight, std=0.01)
    nn.init.zeros_(net[2].bias)
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(steps):
        features, labels = task.batch()
        value = loss(net(features), labels, torch.ones(512), avg_factor=512.0)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
    return net.eval()


@torch.no_grad()
def average_precisions(
    task: Task, net: nn.Module, scores_of: Scores, score_thr: float = 1e-4, max_dets: int = 30
) -> Tensor:
    """(C,) area under the precision-recall curve of each class over what the images keep."""
    logits = net(task.test_features.view(-1, DIM))
    scores = scores_of(logits)[:, :C].reshape(IMAGES, -1)
    labels = task.test_labels.unsqueeze(2).expand(-1, -1, C).reshape(IMAGES, -1)
    kept, index = scores.topk(max_dets, 1)
    klass, hit = index % C, labels.gather(1, index) == index % C
    found = []
    for c in range(C):
        mine = (klass == c) & (kept > score_thr)
        order = kept[mine].argsort(descending=True)
        correct = hit[mine][order].double()
        precision = correct.cumsum(0) / torch.arange(1, len(correct) + 1)
        precision = precision.flip(0).cummax(0).values.flip(0)
        found.append((precision * correct).sum() / (task.test_labels == c).sum())
    return torch.stack(found)


def by_group(ap: Tensor) -> dict[str, float]:
    """Mean AP of each group and of all classes, percent."""
    values = {name: 100 * ap[classes].mean().item() for name, classes in GROUPS.items()}
    return {**values, 'all': 100 * ap.mean().item()}


def norcal(gamma: float) -> Scores:
    """Post-hoc: p_c in proportion to e^{z_c} n_c^-gamma for the classes, e^{z_C} for the background."""

    def scores(logits: Tensor) -> Tensor:
        shift = torch.cat([-gamma * NUMBERS.float().log(), torch.zeros(1)])
        return (logits + shift).softmax(1)

    return scores
