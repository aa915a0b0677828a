"""Balanced logit variation: noise on the logits while training, the more the rarer the class."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from imbdense.core.checks import check_counts, check_number
from imbdense.core.losses.cross_entropy import softmax_nll
from imbdense.core.losses.prior_shift import removed_shift, with_background
from imbdense.core.losses.random_bits import random_integers
from imbdense.core.reduction import full_precision, reduce_loss
from imbdense.core.stats import fill_empty_classes

LEVELS = 256
"""Values the noise can take; each is the quantile in the middle of one of as many equally likely parts."""


def variation_scale(counts: Tensor) -> Tensor:
    """Return q_c / max_k q_k with q_c = log(sum(n) / n_c), (C,) float64: 1 for the rarest class."""
    values = fill_empty_classes(counts)
    rarity = (values.sum() / values).log()
    return rarity / rarity.max().clamp_min(1e-12)


def noise_levels(sigma: float) -> Tensor:
    """Return the quantiles of |xi|, xi ~ N(0, sigma^2) clamped to [-1, 1], (LEVELS,) float64 ascending."""
    middle = (torch.arange(LEVELS, dtype=torch.float64) + 0.5) / LEVELS
    return (sigma * math.sqrt(2.0) * torch.erfinv(middle)).clamp_max(1.0)


def balanced_logit_variation_loss(
    pred: Tensor,
    target: Tensor,
    class_counts: Tensor | Sequence[float],
    *,
    sigma: float = 4.0,
    noise: Tensor | None = None,
    generator: torch.Generator | None = None,
    class_weight: Tensor | None = None,
    empty_class: str = 'one',
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Cross-entropy of logits with one-sided noise that is larger for rare classes, in training only::

        z_c <- z_c + |xi| * q_c / max_k q_k,   xi ~ N(0, sigma^2) clamped to [-1, 1],   q_c = log(sum(n) / n_c)

    with xi drawn for every element and class. The noise is not centred: on average it *raises* the rare logits while
    training, so the bare logits, used at test time, come out lower by that much (sigma = 4: .90 for the rarest class).

    Args:
        pred: logits (N, C, *spatial) or (P, C); with a background channel (N, C + 1, ...), whose noise has the mean
            scale over the objects.
        target: class indices (N, *spatial) or (P,).
        class_counts: (C,) >= 0, without the background.
        sigma: > 0; the noise is quantised to 256 equally likely values.
        noise: |xi| itself, of the shape of ``pred``; ``None`` = drawn.
        generator: of the draw; ``None`` = torch's default one.
        class_weight: (channels,); ``None`` = 1.
        empty_class: 'one' or 'mask', what happens to a class with count 0.
        ignore_index, weight, normalizer, avg_factor, reduction: see :mod:`imbdense.core.losses`.

    Example (n = [9, 1], noise 1, z = [0, 0], y = 1): q = [.1054, 2.3026]; logits [.0458, 1], loss .3258; CE .6931.

    Source: Wang et al., Balancing logit variation for long-tailed semantic segmentation, CVPR 2023.
    """
    owner = 'balanced_logit_variation_loss'
    sigma = check_number('sigma', sigma, low=0.0, low_open=True, owner=owner)
    counts = check_counts(class_counts, owner=owner).to(pred.device)
    channels, dtype = pred.shape[1], full_precision(pred).dtype
    view = (1, -1) + (1,) * (pred.ndim - 2)
    scale = with_background(variation_scale(counts), counts, channels, owner=owner).to(dtype).view(view)
    if noise is None:
        shift = _draw(pred, sigma, dtype, generator).mul_(scale)
    else:
        shift = noise.to(dtype) * scale
    removed = removed_shift(counts, channels, empty_class, owner=owner)
    if removed is not None:
        shift += removed.to(shift).view(view)
    nll, safe, valid = softmax_nll(pred, target, shift=shift, ignore_index=ignore_index, owner=owner)
    return reduce_loss(
        nll, valid=valid, class_weight=None if class_weight is None else class_weight.to(nll)[safe], weight=weight,
        normalizer=normalizer, avg_factor=avg_factor, reduction=reduction,
    )


def _draw(pred: Tensor, sigma: float, dtype: torch.dtype, generator: torch.Generator | None) -> Tensor:
    """|xi| of the shape of ``pred``, from a table of quantiles."""
    index = random_integers(pred.shape, torch.uint8, pred.device, generator).flatten().int()
    return noise_levels(sigma).to(pred.device, dtype).index_select(0, index).view(pred.shape)
