"""Do eight labelled images of squares teach a network faster after it was pre-trained on images without labels?

Images of :mod:`tests.helpers.long_tail_task`: five classes of squares, here equally frequent, that are told by a colour
under strong noise. What can be learned without labels is to see a colour through the noise.

A small backbone is pre-trained by a task of :mod:`imbdense.nn.self_supervised`, then trained with a fresh head on eight
labelled images, all layers; the mIoU on other images is taken every few iterations. The same network from scratch, with
the same head and the same batches, is the base. Run as a script it prints one line per seed::

    python -m tests.helpers.ssp_squares [--task simsiam] [--pretrain 300] [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.nn.self_supervised import DenseCLTask, JigsawTask, MoCoTask, PretextTask, RotationTask, SimSiamTask
from tests.helpers.long_tail_task import CLASSES, make_images

LABELED, UNLABELED, TEST = 8, 400, 40
ITERATIONS, EVERY = 200, 5
SIZE, CROP, CHANNELS = 32, 16, 16
ODDS = torch.full((5,), 0.2)
TASKS: dict[str, Callable[[], PretextTask]] = {
    'simsiam': lambda: SimSiamTask(CHANNELS, dim=128, prediction_dim=32),
    'densecl': lambda: DenseCLTask(CHANNELS, dim=64, hidden=64, queue_size=1024, momentum=0.99, grid=4),
    'mocov2': lambda: MoCoTask(CHANNELS, dim=64, hidden=64, queue_size=1024, momentum=0.99),
    'rotation': lambda: RotationTask(CHANNELS),
    'jigsaw4': lambda: JigsawTask(CHANNELS),
}


@dataclass(frozen=True)
class Outcome:
    """mIoU of base and pre-trained network after every ``EVERY`` iterations, and the last spread of the embeddings.

    Single values are noisy, so curves are compared by the mean of the last five.
    """

    base: list[float]
    pretrained: list[float]
    spread: float

    @property
    def target(self) -> float:
        """The best mIoU of the base."""
        return max(smooth(self.base))

    def steps(self, curve: list[float]) -> int | None:
        """Iterations until a curve first reaches the target; ``None`` if it does not."""
        return next((EVERY * (i + 1) for i, value in enumerate(smooth(curve)) if value >= self.target), None)


def smooth(curve: list[float]) -> list[float]:
    """Mean of the last five values (at the start, of those there are)."""
    return [sum(curve[max(i - 4, 0) : i + 1]) / len(curve[max(i - 4, 0) : i + 1]) for i in range(len(curve))]


def backbone() -> nn.Sequential:
    """Four convolutions with batch norm, stride 2 in all."""
    layers: list[nn.Module] = []
    for inputs, outputs, stride in ((4, 8, 1), (8, CHANNELS, 2), (CHANNELS, CHANNELS, 1), (CHANNELS, CHANNELS, 1)):
        layers += [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def crops(images: Tensor, generator: torch.Generator) -> Tensor:
    """One view of each: a random crop, flips, another brightness, more noise."""
    number = len(images)
    corner = torch.randint(0, SIZE - CROP + 1, (2, number, 1), generator=generator)
    rows, columns = (corner + torch.arange(CROP)).unbind(0)
    mirrored = torch.rand(2, number, 1, generator=generator) < 0.5
    rows = torch.where(mirrored[0], rows.flip(1), rows)
    columns = torch.where(mirrored[1], columns.flip(1), columns)
    views = images[torch.arange(number)[:, None, None], :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
    brightness = 0.7 + 0.6 * torch.rand(number, 1, 1, 1, generator=generator)
    return views * brightness + 0.5 * torch.randn(views.shape, generator=generator)


def pretrain(task_name: str, iterations: int, seed: int, batch: int = 32) -> tuple[nn.Module, float]:
    """A pre-trained backbone, and the last spread of its embeddings."""
    images, _ = make_images(UNLABELED, ODDS, 500 + seed)
    torch.manual_seed(seed)
    body, task = backbone(), TASKS[task_name]()
    task.attach(body)
    task.start(body)
    learning = [p for p in (*body.parameters(), *task.parameters()) if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, 3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(iterations):
        chosen = images[torch.randint(0, UNLABELED, (batch,), generator=generator)]
        terms = task(body, [crops(chosen, generator) for _ in range(2)])
        optimizer.zero_grad()
        sum(value for key, value in terms.items() if 'loss' in key).backward()
        optimizer.step()
        schedule.step()
    return body, float(terms['stat_embedding_spread'])


def finetune(body: nn.Module, seed: int) -> list[float]:
    """Train on eight labelled images; mIoU on others after every ``EVERY`` iterations."""
    images, labels = make_images(LABELED, ODDS, seed)
    test_images, test_labels = make_images(TEST, ODDS, 1000 + seed)
    torch.manual_seed(seed)
    head = nn.Sequential(
        nn.Upsample(scale_factor=2), nn.Conv2d(CHANNELS, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, CLASSES, 1),
    )  # fmt: skip
    network = nn.Sequential(copy.deepcopy(body), head)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    curve = []
    for step in range(1, ITERATIONS + 1):
        chosen = torch.randint(0, LABELED, (LABELED,))
        loss = F.cross_entropy(network(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % EVERY == 0:
            network.eval()
            with torch.no_grad():
                curve.append(mean_iou(network(test_images).argmax(1), test_labels))
            network.train()
    return curve


def mean_iou(predicted: Tensor, labels: Tensor) -> float:
    """Over all classes."""
    table = torch.bincount((labels * CLASSES + predicted).flatten(), minlength=CLASSES**2).view(CLASSES, CLASSES)
    hit = table.diag().double()
    return float((hit / (table.sum(0) + table.sum(1) - hit).clamp_min(1)).mean())


def compare(task: str, iterations: int, seed: int) -> Outcome:
    """Base and pre-trained network of one seed."""
    pretrained, spread = pretrain(task, iterations, seed)
    torch.manual_seed(seed)
    return Outcome(finetune(backbone(), seed), finetune(pretrained, seed), spread)


def main() -> None:
    """One line per seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--task', choices=TASKS, default='simsiam')
    parser.add_argument('--pretrain', type=int, default=300)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    options = parser.parse_args()
    for seed in options.seeds:
        start = time.process_time()
        found = compare(options.task, options.pretrain, seed)
        print(
            f'{options.task} {options.pretrain} seed {seed}: best mIoU of the base {found.target:.3f} after '
            f'{found.steps(found.base)} of {ITERATIONS} iterations, pre-trained after {found.steps(found.pretrained)}; '
            f'at the end {smooth(found.base)[-1]:.3f} and {smooth(found.pretrained)[-1]:.3f}, best pre-trained '
            f'{max(smooth(found.pretrained)):.3f}; spread {found.spread:.2f}; {time.process_time() - start:.0f} s',
            flush=True,
        )


if __name__ == '__main__':
    main()
