"""Influence-balanced loss: elements that pull hard at the decision boundary count less."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_index_shape, check_number
from imbdense.core.losses.cross_entropy import softmax_nll
from imbdense.core.losses.prior_shift import removed_shift
from imbdense.core.reduction import reduce_loss

FLOOR = 1e-3
"""Added to the influence, so that an element that is learnt already does not get an infinite weight."""


def influence_balanced_loss(
    pred: Tensor,
    target: Tensor,
    feature_norm: Tensor,
    *,
    alpha: float = 1000.0,
    class_weight: Tensor | None = None,
    class_counts: Tensor | None = None,
    empty_class: str = 'one',
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'valid',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Cross-entropy divided by the influence of the element on the last layer::

        loss = mean_i w_{y_i} * CE_i * alpha / ( ||p_i - onehot_i||_1 * ||h_i||_1 + 1e-3 )

    The gradient of the last layer is (p - onehot) h^T, so the divisor is its 1-norm. ||p - onehot||_1 = 2 (1 - p_y)
    takes part in the gradient, as in the reference; the features' norm does not (its gradient would only make the
    features grow).

    Args:
        pred: logits (N, C, *spatial) or (P, C).
        target: class indices (N, *spatial) or (P,).
        feature_norm: ||h||_1 of the features the classifier saw, of the shape of ``target``, >= 0.
        alpha: > 0; keeps the loss in the range of cross-entropy.
        class_weight: (channels,) w; the reference takes 1 / n scaled to mean 1 over the classes.
        class_counts, empty_class: with 'mask', classes of count 0 are taken out of the softmax.
        ignore_index, weight, normalizer, avg_factor, reduction: see :mod:`imbdense.core.losses`.

    Example: z = [0, 0], ||h||_1 = 100, alpha = 100, no weights: .6931 * 100 / (1 * 100 + .001) = .6931.

    Source: Park et al., Influence-balanced loss for imbalanced visual classification, ICCV 2021.
    """
    owner = 'influence_balanced_loss'
    alpha = check_number('alpha', alpha, low=0.0, low_open=True, owner=owner)
    check_index_shape(pred, target, owner=owner)
    if feature_norm.shape != target.shape:
        raise ValueError(
            f'{owner}: feature_norm must have the shape of target, {tuple(target.shape)}, but has '
            f'{tuple(feature_norm.shape)}.'
        )
    shift = None if class_counts is None else removed_shift(class_counts, pred.shape[1], empty_class, owner=owner)
    nll, safe, valid = softmax_nll(pred, target, shift=shift, ignore_index=ignore_index, owner=owner)
    influence = -2.0 * torch.expm1(-nll) * feature_norm.detach().to(nll)
    return reduce_loss(
        nll * alpha / (influence + FLOOR), valid=valid,
        class_weight=None if class_weight is None else class_weight.to(nll)[safe], weight=weight,
        normalizer=normalizer, avg_factor=avg_factor, reduction=reduction,
    )
