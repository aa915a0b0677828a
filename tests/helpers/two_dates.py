"""Two classifications of a scene with a known transition prior: long-tailed classes, few changes, exact posteriors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CLASSES, CHANGE = 8, 0.076


@dataclass(frozen=True)
class TwoDates:
    """probabilities (K, P) and labels (P,) at both dates; prior (K,) of the classifier; matrix (K, K) true shares."""

    first: Tensor
    second: Tensor
    first_label: Tensor
    second_label: Tensor
    prior: Tensor
    matrix: Tensor


def two_dates(pixels: int, separation: float, seed: int) -> TwoDates:
    """Classes of shares 2^-k; a pixel changes with 7.6 %, to a class drawn by its share among the others.

    Features of a class are normal around a corner of length ``separation``, drawn anew at each date, so the softmax
    of the true likelihoods and shares is what a perfect classifier of one date would say.
    """
    generator = torch.Generator().manual_seed(seed)
    prior = 0.5 ** torch.arange(CLASSES, dtype=torch.float64)
    prior /= prior.sum()
    others = prior.repeat(CLASSES, 1)
    others.fill_diagonal_(0.0)
    others /= others.sum(1, keepdim=True)
    matrix = prior[:, None] * (CHANGE * others + (1 - CHANGE) * torch.eye(CLASSES))
    pair = torch.multinomial(matrix.flatten(), pixels, replacement=True, generator=generator)
    labels = pair // CLASSES, pair % CLASSES
    dates = []
    for label in labels:
        features = torch.randn(CLASSES, pixels, generator=generator, dtype=torch.float64)
        features += separation * torch.nn.functional.one_hot(label, CLASSES).T
        dates.append((separation * features + prior.log()[:, None]).softmax(0))
    return TwoDates(*dates, *labels, prior, matrix)


def change_scores(changed: Tensor, truth: Tensor) -> tuple[float, float]:
    """(F1 of change, share of the unchanged pixels called changed)."""
    hit = float((changed & truth).sum())
    return 2 * hit / float(changed.sum() + truth.sum()), float((changed & ~truth).sum() / (~truth).sum())
