"""The rules and refiners as the shared tests build them, and probabilities to feed them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from imbdense.core.pseudo_label import (
    BudgetedThreshold,
    ClassBalancedThreshold,
    CReSTQuota,
    DARPRefiner,
    DASOBlender,
    DistributionAlign,
    EntropyPercentile,
    ExpectedShareThreshold,
    FixedThreshold,
    FlexThreshold,
    FreeThreshold,
    QuantileThreshold,
)

COUNTS = [900.0, 90.0, 30.0, 3.0, 1.0, 1.0]


def _budgeted(classes: int) -> BudgetedThreshold:
    rule = BudgetedThreshold(classes, alpha=0.2)
    scores = torch.linspace(0.3, 1.0, 400).repeat(classes).numpy()
    rule.calibrate(scores, torch.arange(classes).repeat_interleave(400).numpy(), scores > 0.5)
    return rule


RULES: dict[str, Callable[[int], Any]] = {
    'fixed': lambda k: FixedThreshold(k, 0.6),
    'flex': lambda k: FlexThreshold(k, 0.7, momentum=0.5),
    'expected': lambda k: ExpectedShareThreshold(k, 0.7, expected=COUNTS[:k], momentum=0.5),
    'free': lambda k: FreeThreshold(k, momentum=0.5, fairness=0.05),
    'free_quantile': lambda k: FreeThreshold(k, momentum=0.5, quantile=0.8, clip=0.95),
    'class_balanced': lambda k: ClassBalancedThreshold(k, round_steps=2),
    'auto': lambda k: QuantileThreshold(k, class_counts=COUNTS[:k], round_steps=2),
    'class_adaptive': lambda k: QuantileThreshold(k, 'class_adaptive', class_counts=COUNTS[:k], round_steps=2),
    'crest': lambda k: CReSTQuota(k, class_counts=COUNTS[:k], round_steps=2),
    'entropy': lambda k: EntropyPercentile(k),
    'budgeted': _budgeted,
}
REFINERS: dict[str, Callable[[int], Any]] = {
    'align': lambda k: DistributionAlign(k, target='uniform', momentum=0.5),
    'darp': lambda k: DARPRefiner(k, target='uniform', region=4, memory=64, interval=2, warmup=1),
    'daso': lambda k: filled_blender(k),
}


def filled_blender(classes: int) -> DASOBlender:
    """A blender that has seen labelled features of every class, on two ranks each half of them."""
    blender = DASOBlender(classes, feature_dim=classes, queue_size=8, history=3)
    ranks = dist.get_world_size() if dist.is_initialized() else 1
    own = torch.arange(classes)[dist.get_rank() if ranks > 1 else 0 :: ranks]
    blender.remember(torch.eye(classes)[own], own)
    blender.remember(torch.eye(classes)[own] * 2, own)
    return blender


def draw_probs(shape: tuple[int, ...], seed: int = 0, sharpness: float = 2.0) -> Tensor:
    """Class probabilities (dim 1)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(sharpness * torch.randn(shape, generator=generator), 1)


def draw_valid(shape: tuple[int, ...], seed: int = 1) -> Tensor:
    """A mask with about a fifth invalid."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) > 0.2
