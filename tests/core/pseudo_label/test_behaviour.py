"""What the rules do to a rare class, with a teacher that prefers frequent ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from imbdense.core.pseudo_label import (
    ClassBalancedThreshold,
    CReSTQuota,
    DARPRefiner,
    DistributionAlign,
    EntropyPercentile,
    ExpectedShareThreshold,
    FixedThreshold,
    FlexThreshold,
    FreeThreshold,
    QuantileThreshold,
)

PRIOR = torch.tensor([0.80, 0.15, 0.04, 0.01])
COUNTS = (PRIOR * 1e6).tolist()
RULES: dict[str, Callable[[], Any]] = {
    'FixedThreshold .95': lambda: FixedThreshold(4, 0.95),
    'FlexThreshold': lambda: FlexThreshold(4, momentum=0.95),
    'ExpectedShareThreshold': lambda: ExpectedShareThreshold(
        4, expected='labelled', class_counts=COUNTS, momentum=0.95
    ),
    'FreeThreshold': lambda: FreeThreshold(4, momentum=0.95),
    'ClassBalancedThreshold': lambda: ClassBalancedThreshold(4, start=0.5, round_steps=20),
    'QuantileThreshold auto': lambda: QuantileThreshold(4, class_counts=COUNTS, round_steps=20),
    'QuantileThreshold class_adaptive': lambda: QuantileThreshold(
        4, 'class_adaptive', class_counts=COUNTS, round_steps=20
    ),
    'CReSTQuota': lambda: CReSTQuota(4, class_counts=COUNTS, round_steps=20),
    'EntropyPercentile': lambda: EntropyPercentile(4),
}


def teacher(seed: int, images: int = 8, side: int = 32) -> tuple[Tensor, Tensor]:
    """(probabilities, truth): logits favour the truth, and the prior too much (a class of log pi gets 1.5 log pi)."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.multinomial(PRIOR, images * side * side, True, generator=generator).view(images, side, side)
    logits = 2.0 * torch.randn(images, 4, side, side, generator=generator) + 1.5 * PRIOR.log().view(1, 4, 1, 1)
    logits.scatter_add_(1, truth.unsqueeze(1), torch.full((images, 1, side, side), 6.0))
    return logits.softmax(1), truth


def measure(rule: Any, refiner: Any = None, steps: int = 60) -> tuple[float, float, float]:
    """(share of all pixels labelled, share of the rarest class found, precision of its labels), last 20 steps."""
    labelled = hits = claims = there = pixels = 0
    for step in range(steps):
        probs, truth = teacher(step)
        label, _, accepted = rule(probs if refiner is None else refiner(probs))
        if step >= steps - 20:
            labelled += int(accepted.sum())
            pixels += truth.numel()
            hits += int(((label == 3) & (truth == 3)).sum())
            claims += int((label == 3).sum())
            there += int((truth == 3).sum())
    return labelled / pixels, hits / there, hits / max(claims, 1)


@pytest.fixture(scope='module')
def table() -> dict[str, tuple[float, float, float]]:
    return {name: measure(make()) for name, make in RULES.items()}


def test_adaptive_rules_label_more_of_the_rare_class(table: dict[str, tuple[float, float, float]]) -> None:
    print()
    for name, values in table.items():
        print(f'{name:34} labelled {values[0]:.3f}  rare found {values[1]:.3f}  rare precision {values[2]:.3f}')
    fixed = table['FixedThreshold .95'][1]
    for name in (
        'FlexThreshold', 'FreeThreshold', 'ClassBalancedThreshold', 'QuantileThreshold class_adaptive', 'CReSTQuota',
        'ExpectedShareThreshold',
    ):
        assert table[name][1] > 1.2 * fixed, name


def test_alignment_finds_more_of_the_rare_class() -> None:
    plain = measure(FixedThreshold(4, 0.95))
    aligned = measure(FixedThreshold(4, 0.95), DistributionAlign(4, PRIOR.tolist(), momentum=0.95))
    refined = measure(FixedThreshold(4, 0.95), DARPRefiner(4, PRIOR.tolist(), region=4, warmup=5))
    print()
    for name, values in {'plain': plain, 'DistributionAlign': aligned, 'DARPRefiner': refined}.items():
        print(f'{name:34} labelled {values[0]:.3f}  rare found {values[1]:.3f}  rare precision {values[2]:.3f}')
    assert aligned[1] > 1.1 * plain[1]
