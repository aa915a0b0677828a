"""Softmax equalisation loss: rare classes are mostly spared the discouragement by elements of other classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from imbdense.core.checks import check_counts, check_index_shape, check_number
from imbdense.core.losses.cross_entropy import softmax_nll
from imbdense.core.losses.prior_shift import REMOVED, has_background, removed_shift
from imbdense.core.losses.random_bits import random_integers
from imbdense.core.reduction import full_precision, reduce_loss
from imbdense.core.stats import fill_empty_classes


def rare_classes(counts: Tensor, threshold: float) -> Tensor:
    """Return which classes have a share below ``threshold``, (C,) bool."""
    values = fill_empty_classes(counts)
    return values / values.sum() < threshold


def softmax_eql_loss(
    pred: Tensor,
    target: Tensor,
    class_counts: Tensor | Sequence[float],
    *,
    gamma: float = 0.9,
    threshold: float = 5e-3,
    dropped: Tensor | None = None,
    generator: torch.Generator | None = None,
    class_weight: Tensor | None = None,
    empty_class: str = 'one',
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Cross-entropy whose denominator leaves rare classes out at random, unless they are the label::

        loss = -log( e^{z_y} / sum_k w_k e^{z_k} ),   w_k = 1 - b_k * 1[pi_k < threshold] * 1[k != y]

    with b_k ~ Bernoulli(gamma) drawn for every element and class. An element of another class thus lowers the logit of
    a rare class only in a fraction 1 - gamma of the cases.

    Args:
        pred: logits (N, C, *spatial) or (P, C); with a background channel (N, C + 1, ...): background elements leave
            nothing out, as otherwise nothing would teach a rare class what is no object.
        target: class indices (N, *spatial) or (P,).
        class_counts: (C,) >= 0, without the background.
        gamma: probability in [0, 1] that b_k = 1 (resolved to 1 / 65536); 0 = plain cross-entropy.
        threshold: share below which a class is rare (the paper's lambda).
        dropped: b itself, bool of the shape of ``pred``; ``None`` = drawn.
        generator: of the draw; ``None`` = torch's default one.
        class_weight: (channels,); ``None`` = 1.
        empty_class: 'one' or 'mask', what happens to a class with count 0.
        ignore_index, weight, normalizer, avg_factor, reduction: see :mod:`imbdense.core.losses`.

    Example (n = [999, 1], threshold .01, b = 1, z = [0, 0]): y = 0 costs 0 instead of .6931; y = 1 costs .6931.

    Source: Tan et al., Equalization loss for long-tailed object recognition, CVPR 2020.
    """
    owner = 'softmax_eql_loss'
    gamma = check_number('gamma', gamma, low=0.0, high=1.0, owner=owner)
    threshold = check_number('threshold', threshold, low=0.0, owner=owner)
    check_index_shape(pred, target, owner=owner)
    counts = check_counts(class_counts, owner=owner).to(pred.device)
    channels = pred.shape[1]
    rare = rare_classes(counts, threshold)
    if has_background(counts.numel(), channels, owner=owner):
        rare = torch.cat([rare, rare.new_zeros(1)])
    shift = _drop_shift(pred, target, rare, gamma, dropped, generator)
    if channels > counts.numel():
        shift *= (target != counts.numel()).unsqueeze(1)
    safe = torch.where(target == ignore_index, 0, target).long().clamp(0, channels - 1)
    shift.scatter_(1, safe.unsqueeze(1), 0.0)
    removed = removed_shift(counts, channels, empty_class, owner=owner)
    if removed is not None:
        shift += removed.to(shift).view((1, -1) + (1,) * (pred.ndim - 2))
    nll, safe, valid = softmax_nll(pred, target, shift=shift, ignore_index=ignore_index, owner=owner)
    return reduce_loss(
        nll, valid=valid, class_weight=None if class_weight is None else class_weight.to(nll)[safe], weight=weight,
        normalizer=normalizer, avg_factor=avg_factor, reduction=reduction,
    )


def _drop_shift(
    pred: Tensor,
    target: Tensor,
    rare: Tensor,
    gamma: float,
    dropped: Tensor | None,
    generator: torch.Generator | None,
) -> Tensor:
    """A fresh tensor of the shape of ``pred``: REMOVED where b_k * 1[pi_k < threshold], else 0."""
    view = (1, -1) + (1,) * (pred.ndim - 2)
    if dropped is None:
        drawn = random_integers(pred.shape, torch.int16, pred.device, generator)
        # b = 1 where the integer is below a threshold; the lowest integer is below none, so b = 0 for frequent classes.
        limit = torch.where(rare, round(gamma * 65535) - 32768, -32768).to(torch.int16)
        chosen = drawn < limit.view(view)
    else:
        chosen = dropped & rare.view(view)
    # A product, not torch.where: with a random mask that is many times slower on a CPU.
    return chosen * torch.tensor(REMOVED, dtype=full_precision(pred).dtype, device=pred.device)
