"""Label-distribution-aware margins: the rarer the label, the larger the margin it must win by."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_counts, check_number
from imbdense.core.losses.cross_entropy import softmax_nll
from imbdense.core.losses.prior_shift import removed_shift, with_background
from imbdense.core.reduction import reduce_loss
from imbdense.core.stats import fill_empty_classes

LOGIT_SCALES: tuple[str, ...] = ('inside', 'outside')


def ldam_margins(counts: Tensor, max_m: float = 0.5) -> Tensor:
    """Return the margins max_m * n_c^(-1/4) / max_k n_k^(-1/4), (C,) float64; the rarest class has max_m."""
    root = fill_empty_classes(counts) ** -0.25
    return max_m * root / root.max()


def ldam_loss(
    pred: Tensor,
    target: Tensor,
    class_counts: Tensor | Sequence[float],
    *,
    max_m: float = 0.5,
    s: float = 30.0,
    logit_scale: str = 'inside',
    class_weight: Tensor | None = None,
    empty_class: str = 'one',
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Cross-entropy in which the label's logit is lowered by a margin that grows as its class gets rarer::

        m_c    = max_m * n_c^(-1/4) / max_k n_k^(-1/4)
        inside   CE(s * (z - m_y e_y))        z = cosines in [-1, 1]
        outside  CE(z - s * m_y e_y)          z = s * cosines, as the head already scales them

    Both are the same function of the cosines; two code bases in circulation differ in where s is. With ordinary,
    unbounded logits a network escapes the margin by growing its weights: use a cosine classifier.

    Args:
        pred: logits (N, C, *spatial) or (P, C); with a background channel (N, C + 1, ...), whose margin is the mean
            over the objects.
        target: class indices (N, *spatial) or (P,).
        class_counts: (C,) >= 0, without the background.
        max_m: margin of the rarest class, >= 0; 0 = cross-entropy of s * z.
        s: scale > 0.
        logit_scale: 'inside' or 'outside', see above.
        class_weight: (channels,) weights, for deferred re-weighting (DRW); ``None`` = 1.
        empty_class: 'one' or 'mask', what happens to a class with count 0.
        ignore_index, weight, normalizer, avg_factor, reduction: see :mod:`imbdense.core.losses`.

    Example (n = [10000, 16], max_m = .5): m = [.1, .5]; z = [.2, .2], s = 30, y = 1: logits [6, -9], loss 15.0000.

    Source: Cao et al., Learning imbalanced datasets with label-distribution-aware margin loss, NeurIPS 2019.
    """
    owner = 'ldam_loss'
    check_choice('logit_scale', logit_scale, LOGIT_SCALES, owner=owner)
    max_m = check_number('max_m', max_m, low=0.0, owner=owner)
    s = check_number('s', s, low=0.0, low_open=True, owner=owner)
    counts = check_counts(class_counts, owner=owner).to(pred.device)
    margins = with_background(ldam_margins(counts, max_m), counts, pred.shape[1], owner=owner)
    nll, safe, valid = softmax_nll(
        pred, target,
        scale=torch.full_like(margins[:1], s) if logit_scale == 'inside' else None,
        shift=removed_shift(counts, pred.shape[1], empty_class, owner=owner),
        own_shift=-s * margins, ignore_index=ignore_index, owner=owner,
    )
    return reduce_loss(
        nll, valid=valid, class_weight=None if class_weight is None else class_weight.to(nll)[safe], weight=weight,
        normalizer=normalizer, avg_factor=avg_factor, reduction=reduction,
    )
