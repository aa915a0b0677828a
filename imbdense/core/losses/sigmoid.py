"""One binary cross-entropy per class, with shift, class weights and focusing: the engine of the sigmoid losses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.core.checks import split_ignored
from imbdense.core.reduction import full_precision, reduce_loss


def shifted_sigmoid_loss(
    pred: Tensor,
    target: Tensor,
    *,
    shift: Tensor | None = None,
    class_weight: Tensor | None = None,
    focal_gamma: float = 0.0,
    focal_alpha: float | None = None,
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
    owner: str = 'shifted_sigmoid_loss',
) -> Tensor:
    """Sum over classes of the (focal) binary cross-entropy of sigma(z + shift).

    With a = z + shift, p = sigma(a), for the column of the label y and for every other column c::

        positive  w_y * alpha       * (1 - p_y)^gamma * -log(p_y)
        negative        (1 - alpha) *      p_c^gamma  * -log(1 - p_c)

    without alpha both factors are 1. The loss of an element is the sum over its classes; ``normalizer`` counts
    elements (anchors, pixels), as detection heads do, not elements x classes. Class weights act on positives only.

    Args:
        pred: logits (N, C, *spatial) or (P, C).
        target: integer (N, *spatial) or (P,); the value C means background (all columns negative). Or soft targets
            t in [0, 1] of the shape of ``pred``: the two lines above are mixed with t and 1 - t.
        shift, class_weight: (C,).
        focal_gamma: >= 0; 0 = no focusing.
        focal_alpha: in [0, 1] or ``None``.
        ignore_index: label value whose elements count nothing; must not be C.
        weight: (N, *spatial) or (P,), or of the shape of ``pred`` (one weight per element and class; a flattened
            (P * C,) one is accepted as mmdet's FSAF head passes it).
        normalizer, avg_factor, reduction: see :func:`~imbdense.core.reduction.reduce_loss`.

    Returns:
        float32 scalar; for ``reduction='none'`` the map of the shape of ``pred``.
    """
    logits = full_precision(pred)
    classes = logits.shape[1]
    view = (1, -1) + (1,) * (logits.ndim - 2)
    adjusted = logits if shift is None else logits + shift.to(logits).view(view)
    positive_factor, negative_factor = (1.0, 1.0) if focal_alpha is None else (focal_alpha, 1.0 - focal_alpha)
    negative = _focal_terms(adjusted, focal_gamma) * negative_factor
    if target.is_floating_point():
        if target.shape != pred.shape:
            raise ValueError(f'{owner}: soft targets must have shape {tuple(pred.shape)}, not {tuple(target.shape)}.')
        positive = _focal_terms(-adjusted, focal_gamma) * positive_factor
        if class_weight is not None:
            positive = positive * class_weight.to(logits).view(view)
        loss, valid = torch.lerp(negative, positive, target.to(logits.dtype)), None
        mass = torch.ones_like(loss[:, 0])
    else:
        safe, valid = split_ignored(pred, target, ignore_index, values=classes + 1, owner=owner)
        is_object = valid & (safe < classes)
        column = torch.where(is_object, safe, 0).unsqueeze(1)
        positive = _focal_terms(-adjusted.gather(1, column), focal_gamma) * positive_factor
        mass = torch.ones_like(positive.squeeze(1))
        if class_weight is not None:
            mass = torch.where(is_object, class_weight.to(logits)[column.squeeze(1)], mass)
            positive = positive * mass.unsqueeze(1)
        # Only the label's column differs from "all negative": replace it instead of building a one-hot tensor.
        loss = negative.scatter(1, column, torch.where(is_object.unsqueeze(1), positive, negative.gather(1, column)))
    return _reduce(loss, valid, mass, weight, normalizer, avg_factor, reduction)


def with_sample_weight(terms: Tensor, weight: Tensor | None) -> Tensor:
    """Terms per element and channel (N, C, *spatial) times sample weights per element, or per element and channel."""
    if weight is None:
        return terms
    if weight.numel() == terms.numel() and terms.shape[1] > 1:
        weight = weight.reshape(terms.shape)
    elif weight.ndim == terms.ndim - 1:
        weight = weight.unsqueeze(1)
    return terms * weight.to(terms.dtype)


def objectness_scores(logits: Tensor) -> Tensor:
    """Scores of sigmoid logits (R, C + 1), objectness last: sigma(z_c) (1 - sigma(z_C)) and, last, sigma(z_C)."""
    score = logits.sigmoid()
    background = score[..., -1:]
    return torch.cat([score[..., :-1] * (1 - background), background], -1)


def _focal_terms(logits: Tensor, gamma: float) -> Tensor:
    """sigma(a)^gamma * -log(1 - sigma(a)); the power through softplus, whose gradient is finite for any gamma."""
    terms = F.softplus(logits)
    return terms if gamma == 0 else terms * torch.exp(-gamma * F.softplus(-logits))


def _reduce(
    loss: Tensor,
    valid: Tensor | None,
    mass: Tensor,
    weight: Tensor | None,
    normalizer: str,
    avg_factor: float | Tensor | None,
    reduction: str,
) -> Tensor:
    """Apply sample weights per element or per element and class, sum over classes, reduce over elements."""
    if weight is not None:
        loss = with_sample_weight(loss, weight)
    if reduction == 'none':
        return reduce_loss(loss, valid=None if valid is None else valid.unsqueeze(1), reduction='none')
    if reduction == 'mean' and avg_factor is None and normalizer == 'weight_sum':
        avg_factor = (mass if valid is None else mass * valid).sum().clamp_min(1e-12)
    return reduce_loss(
        loss.sum(1), valid=valid, normalizer=normalizer, avg_factor=avg_factor, reduction=reduction
    )
