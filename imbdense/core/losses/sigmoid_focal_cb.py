"""Class-balanced focal loss: one focal sigmoid per class, the element weighted by the class of its label."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_index_shape
from imbdense.core.losses.sigmoid import shifted_sigmoid_loss


def sigmoid_focal_cb_loss(
    pred: Tensor,
    target: Tensor,
    class_weight: Tensor,
    *,
    focal_gamma: float = 2.0,
    shift: Tensor | None = None,
    channel_weight: Tensor | None = None,
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'valid',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Sum over classes of the focal binary cross-entropy, times the weight of the label's class, mean over elements::

        loss = 1/M sum_i w_{y_i} sum_k BCE(z_ik, t_ik) * ((1 - p_ik) t_ik + p_ik (1 - t_ik))^gamma,   t_ik = 1[k = y_i]

    Unlike the class weights of :func:`~imbdense.core.losses.sigmoid.shifted_sigmoid_loss`, which act on the positive
    term alone, w acts on all columns of the element.

    Args:
        pred: logits (N, C, *spatial) or (P, C).
        target: class indices (N, *spatial) or (P,); the value C is background (all columns negative, weight 1).
        class_weight: (C,) >= 0, usually of :func:`~imbdense.core.stats.class_weights` with scheme 'effective'.
        focal_gamma: focusing >= 0.
        shift: (C,) added to the logits, to take a class out; ``None`` = 0.
        channel_weight: (C,) factor of the positive term of each column; ``None`` = 1.
        ignore_index: label value that counts nothing; must not be C.
        weight: (N, *spatial) or (P,), or one per element and class.
        normalizer: 'valid' = number of valid elements (the reference); 'weight_sum' = sum of their class weights.
        avg_factor, reduction: see :mod:`imbdense.core.losses`; 'none' gives the map of the shape of ``pred``.

    Source: Cui et al., Class-balanced loss based on effective number of samples, CVPR 2019.
    """
    check_index_shape(pred, target, owner='sigmoid_focal_cb_loss')
    if class_weight.ndim != 1 or class_weight.numel() != pred.shape[1]:
        raise ValueError(
            f'sigmoid_focal_cb_loss: class_weight must have shape ({pred.shape[1]},), one per channel of the logits, '
            f'but has {tuple(class_weight.shape)}.'
        )
    table = nn.functional.pad(class_weight.float(), (0, 1), value=1.0)
    label = torch.where((target >= 0) & (target <= pred.shape[1]), target, pred.shape[1])
    element = table[label.long()]
    if normalizer == 'weight_sum' and avg_factor is None and reduction == 'mean':
        avg_factor = torch.where(target == ignore_index, 0.0, element).sum()
    combined = element if weight is None else _combine(element, weight, pred)
    return shifted_sigmoid_loss(
        pred, target, shift=shift, class_weight=channel_weight, focal_gamma=focal_gamma, ignore_index=ignore_index,
        weight=combined, normalizer='valid' if normalizer == 'weight_sum' else normalizer, avg_factor=avg_factor,
        reduction=reduction, owner='sigmoid_focal_cb_loss',
    )


def _combine(element: Tensor, weight: Tensor, pred: Tensor) -> Tensor:
    """Weight of the label's class times sample weights, per element or per element and class."""
    if weight.numel() == pred.numel() and pred.shape[1] > 1:
        return weight.reshape(pred.shape) * element.unsqueeze(1)
    return weight * element
