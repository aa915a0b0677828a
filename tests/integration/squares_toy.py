"""Coloured squares on noise, three classes of 90, 9 and 1 %: a dense detector of four convolutions, in a minute.

Each 64 x 64 image holds two squares; one cell of the 32 x 32 grid is positive per square, so that 0.2 % of the samples
are foreground. Run as a script it trains every variant on several seeds and prints the recalls::

    python -m tests.integration.squares_toy [variants ...] [--seeds 5] [--iterations 1500]
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.mm.losses.guided_loss_balancer import GuidedLossBalancer

SIZE, GRID, CLASSES, OBJECTS = 64, 32, 3, 2
SHARES = torch.tensor([0.90, 0.09, 0.01])
PRIOR_BIAS = -math.log(CLASSES * GRID**2 / OBJECTS - 1)
"""b = -log(C N / N_f - 1)."""


@dataclass
class Squares:
    """Images (n, 3, 64, 64); per object its cell (n, 2, 2) as (row, column), class (n, 2) and half side (n, 2)."""

    images: Tensor
    cells: Tensor
    classes: Tensor
    sides: Tensor


def make_squares(count: int, seed: int) -> Squares:
    """Noise of standard deviation 0.3; a square of half side 3-5 px adds 2 to the colour channel of its class."""
    generator = torch.Generator().manual_seed(seed)
    images = 0.3 * torch.randn(count, 3, SIZE, SIZE, generator=generator)
    classes = torch.multinomial(SHARES, count * OBJECTS, replacement=True, generator=generator).view(count, OBJECTS)
    sides = torch.randint(3, 6, (count, OBJECTS), generator=generator)
    centres = torch.randint(6, SIZE - 6, (count, OBJECTS, 2), generator=generator)
    for index in range(count):
        for number in range(OBJECTS):
            (row, column), half = centres[index, number].tolist(), int(sides[index, number])
            images[index, classes[index, number], row - half: row + half + 1, column - half: column + half + 1] += 2.0
    return Squares(images, centres // (SIZE // GRID), classes, sides)


class SquareNet(nn.Module):
    """Four convolutions with stride 2 in all, then class logits and a size per cell."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs, stride in ((3, 16, 1), (16, 32, 2), (32, 32, 1), (32, 32, 1)):
            layers += [nn.Conv2d(inputs, outputs, 3, stride, 1), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers)
        self.cls, self.size = nn.Conv2d(32, CLASSES, 1), nn.Conv2d(32, 1, 1)
        for layer in (self.cls, self.size):
            nn.init.normal_(layer.weight, std=0.01)
        nn.init.constant_(self.cls.bias, bias)
        nn.init.constant_(self.size.bias, 0.0)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, 3, 32, 32) and sizes (n, 32, 32)."""
        features = self.body(images)
        return self.cls(features), self.size(features)[:, 0]


def square_losses(logits: Tensor, sizes: Tensor, truth: Squares, focal: bool) -> dict[str, Tensor]:
    """Binary cross-entropy (or focal loss) over all cells and smooth L1 over the positive ones, both by N_pos."""
    count = len(logits)
    image = torch.arange(count)[:, None].expand(count, OBJECTS)
    row, column = truth.cells.unbind(-1)
    target = torch.zeros_like(logits)
    target[image, truth.classes, row, column] = 1.0
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction='none')
    if focal:
        probability = logits.sigmoid()
        wrong = probability * (1 - target) + (1 - probability) * target
        loss = loss * wrong**2 * (0.25 * target + 0.75 * (1 - target))
    return {
        'loss_cls': loss.sum() / max(1, truth.classes.numel()),
        'loss_bbox': F.smooth_l1_loss(sizes[image, row, column], truth.sides / 4, beta=0.11),
    }


@dataclass(frozen=True)
class Variant:
    """One way to train: initial bias, focal loss or not, mode of the balancer (``None`` = unguided)."""

    bias: float
    focal: bool = False
    mode: str | None = None


VARIANTS = {
    'bce zero bias': Variant(0.0),
    'bce prior bias': Variant(PRIOR_BIAS),
    'focal': Variant(-math.log(0.99 / 0.01), focal=True),
    'guided warmup_freeze': Variant(PRIOR_BIAS, mode='warmup_freeze'),
    'guided iter': Variant(PRIOR_BIAS, mode='iter'),
    'guided ema': Variant(PRIOR_BIAS, mode='ema'),
}


def train(variant: Variant, seed: int, iterations: int = 1500, lr_warmup: int = 100) -> SquareNet | None:
    """Train on 400 images with SGD; ``None`` when a loss is not finite."""
    torch.manual_seed(seed)
    data = make_squares(400, seed)
    net, balancer = SquareNet(variant.bias), GuidedLossBalancer(mode=variant.mode or 'warmup_freeze')
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for step in range(iterations):
        optimizer.param_groups[0]['lr'] = 0.05 * min(1.0, (step + 1) / max(1, lr_warmup))
        chosen = torch.randint(0, len(data.images), (16,))
        batch = Squares(data.images[chosen], data.cells[chosen], data.classes[chosen], data.sides[chosen])
        losses = square_losses(*net(batch.images), batch, variant.focal)
        if variant.mode is not None:
            losses = balancer(losses, ['loss_cls'], ['loss_bbox'])
        total = losses['loss_cls'] + losses['loss_bbox']
        if not bool(torch.isfinite(total)):
            return None
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return net


@torch.no_grad()
def recalls(net: SquareNet | None, test: Squares) -> list[float]:
    """Per class: share of objects with one of the five best cells of their class at most one cell away."""
    if net is None:
        return [math.nan] * CLASSES
    logits = torch.cat([net(part)[0] for part in test.images.split(100)])
    best = logits.flatten(2).topk(5).indices  # (n, C, 5)
    cells = torch.stack([best // GRID, best % GRID], dim=-1)
    found = []
    for number in range(OBJECTS):
        own = cells[torch.arange(len(cells)), test.classes[:, number]]  # (n, 5, 2)
        near = (own - test.cells[:, number, None]).abs().amax(-1) <= 1
        found.append(near.any(-1))
    hits = torch.stack(found, dim=1)
    return [float(hits[test.classes == klass].float().mean()) for klass in range(CLASSES)]


def main() -> None:
    """Train and print one line per run, then the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('variants', nargs='*', default=list(VARIANTS))
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--iterations', type=int, default=1500)
    parser.add_argument('--lr-warmup', type=int, default=100)
    options = parser.parse_args()
    test = make_squares(2000, 10_000)
    print('test objects per class:', torch.bincount(test.classes.flatten(), minlength=CLASSES).tolist(), flush=True)
    for seed in range(options.seeds):
        for name in options.variants:
            found = recalls(train(VARIANTS[name], seed, options.iterations, options.lr_warmup), test)
            print(f'seed {seed}  {name:<22}' + '  '.join(f'{value:.3f}' for value in found), flush=True)


if __name__ == '__main__':
    main()
