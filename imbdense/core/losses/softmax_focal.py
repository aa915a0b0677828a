"""Focal loss of the softmax: easy elements count less, whatever their class."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.losses.cross_entropy import softmax_nll
from imbdense.core.losses.prior_shift import removed_shift
from imbdense.core.reduction import reduce_loss

SMALLEST = 1e-12
"""1 - p below this counts as this: the power of an exact zero has no finite gradient for gamma < 1."""


def softmax_focal_loss(
    pred: Tensor,
    target: Tensor,
    *,
    focal_gamma: float = 2.0,
    class_weight: Tensor | None = None,
    class_counts: Tensor | None = None,
    empty_class: str = 'one',
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'valid',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Focal loss on the cross-entropy l of the softmax, class weights inside::

        l_i = w_{y_i} * -log softmax(z_i)_{y_i}
        loss = mean_i (1 - e^{-l_i})^gamma * l_i

    Without weights e^{-l} is the probability of the label. A weight acts twice: on the term, and on what counts as
    easy. So the mean is over the valid elements by default ('valid'), as the reference has it.

    Args:
        pred: logits (N, C, *spatial) or (P, C).
        target: class indices (N, *spatial) or (P,).
        focal_gamma: focusing >= 0; 0 = weighted cross-entropy.
        class_weight: (C,) one weight per channel, >= 0; ``None`` = 1.
        class_counts, empty_class: with 'mask', classes of count 0 are taken out of the softmax.
        ignore_index, weight, normalizer, avg_factor, reduction: see :mod:`imbdense.core.losses`.

    Example: z = [0, 0], gamma = 2, no weight: l = log 2, loss = .25 * .6931 = .1733.

    Source: Lin et al., Focal loss for dense object detection, ICCV 2017; the softmax form of Cao et al., LDAM, 2019.
    """
    owner = 'softmax_focal_loss'
    gamma = check_number('focal_gamma', focal_gamma, low=0.0, owner=owner)
    shift = None if class_counts is None else removed_shift(class_counts, pred.shape[1], empty_class, owner=owner)
    nll, safe, valid = softmax_nll(pred, target, shift=shift, ignore_index=ignore_index, owner=owner)
    weights = None if class_weight is None else class_weight.to(nll)[safe]
    loss = nll if weights is None else nll * weights
    if gamma > 0:
        loss = (-torch.expm1(-loss)).clamp_min(SMALLEST).pow(gamma) * loss
    if weights is not None and normalizer == 'weight_sum' and avg_factor is None and reduction == 'mean':
        avg_factor = torch.where(valid, weights, 0.0).sum()  # the weights are in the map already
    return reduce_loss(
        loss, valid=valid, weight=weight, normalizer=normalizer, avg_factor=avg_factor, reduction=reduction
    )
