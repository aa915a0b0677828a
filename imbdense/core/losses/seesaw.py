"""Seesaw loss: push the logits of rarer classes down less, and those of wrongly favoured classes down more."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.core.checks import check_channels, check_choice, split_ignored
from imbdense.core.losses.cross_entropy import shifted_cross_entropy
from imbdense.core.losses.prior_shift import REMOVED, has_background
from imbdense.core.losses.sigmoid import shifted_sigmoid_loss
from imbdense.core.reduction import full_precision, reduce_loss

CLASS_DIVISORS: tuple[str, ...] = ('objects', 'all')


def seesaw_loss(
    pred: Tensor,
    target: Tensor,
    class_counts: Tensor,
    *,
    p: float = 0.8,
    q: float = 2.0,
    eps: float = 1e-2,
    empty_class: str = 'one',
    use_sigmoid: bool = False,
    focal_gamma: float = 0.0,
    focal_alpha: float | None = None,
    class_weight: Tensor | None = None,
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Cross-entropy in which the logit of class j != y is raised by log(M_yj * C_yj).

    With N the samples of each class seen so far and sigma the (detached) scores::

        mitigation    M_yj = (N_j / N_y)^p                          if N_j < N_y, else 1
        compensation  C_yj = (sigma_j / max(sigma_y, eps))^q        if that is > 1, else 1
        loss_i        -log( e^{z_y} / sum_j M_yj C_yj e^{z_j} ),    C_yy = M_yy = 1

    Args:
        pred: logits (N, C, *spatial) or (P, C). One channel more than ``class_counts``: the last is "no object"; it
            is neither raised nor are the logits of its samples (our extension to query and dense softmax heads).
        target: class indices (N, *spatial) or (P,); "no object" is C.
        class_counts: (C,) N, >= 0; a class of count 0 counts once.
        p, q: exponents >= 0; 0 switches the factor off, both 0 = plain cross-entropy.
        eps: > 0, floor of sigma_y.
        empty_class: 'one', or 'mask': a class of count 0 is taken out of the softmax.
        use_sigmoid: one binary cross-entropy per class on logits (.., C), the factors raise the negative columns of
            the samples of a class; samples with target C (background anchors) keep theirs. Our extension to dense
            heads, which leaves their scores plain sigmoids.
        focal_gamma, focal_alpha: focusing of the sigmoid form.
        class_weight: (channels,) fixed weights, as heads of the DETR family pass.
        ignore_index, weight, normalizer, avg_factor, reduction: see :mod:`imbdense.core.losses`.

    Raises:
        ValueError: the channels fit neither C nor C + 1; a target value is foreign.

    Source: Wang et al., Seesaw Loss for Long-Tailed Instance Segmentation, CVPR 2021.
    """
    classes = class_counts.numel()
    has_background(classes, pred.shape[1], use_sigmoid=use_sigmoid, owner='seesaw_loss')
    logits = full_precision(pred)
    safe, valid = split_ignored(pred, target, ignore_index, values=classes + 1, owner='seesaw_loss')
    raised = logits + _log_factors(logits, safe, class_counts, p, q, eps, empty_class, use_sigmoid)
    target = torch.where(valid, safe, -1)
    options = dict(
        class_weight=class_weight, ignore_index=-1, weight=weight, normalizer=normalizer, avg_factor=avg_factor,
        reduction=reduction, owner='seesaw_loss',
    )
    if use_sigmoid:
        return shifted_sigmoid_loss(
            raised, target, focal_gamma=focal_gamma, focal_alpha=focal_alpha, **options  # type: ignore[arg-type]
        )
    return shifted_cross_entropy(raised, target, **options)  # type: ignore[arg-type]


def seesaw_objectness_loss(
    pred: Tensor,
    target: Tensor,
    class_counts: Tensor,
    *,
    p: float = 0.8,
    q: float = 2.0,
    eps: float = 1e-2,
    class_divisor: str = 'objects',
    empty_class: str = 'one',
    ignore_index: int = -1,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Seesaw for regions: a two-way softmax object / background for all, the classes for the objects alone::

        loss_i = CE(objectness_i) + r * [i is an object] * seesaw_i

        r = 1                                  class_divisor='all': both terms are divided by all regions, as released
        r = number of regions / of objects     class_divisor='objects': the class term is a mean over the objects

    Dividing the class term by all regions makes it depend on how many background regions were sampled: with one object
    in 512 regions its class weighs 1/512.

    Args:
        pred: logits (R, C + 2): C classes, object, background.
        target: (R,) class indices, C = background.
        class_counts: (C,).
        class_divisor: see above; ignored regions and those of weight 0 are not counted.
        p, q, eps, empty_class: see :func:`seesaw_loss`.
        ignore_index, weight, normalizer, avg_factor, reduction: see :mod:`imbdense.core.losses`. ``avg_factor``
            divides the sum over the regions, nothing else.

    Raises:
        ValueError: ``pred`` does not have C + 2 channels.
    """
    check_choice('class_divisor', class_divisor, CLASS_DIVISORS, owner='seesaw_objectness_loss')
    check_channels(pred, class_counts.numel() + 2, owner='seesaw_objectness_loss', what='class_counts, plus two,')
    classes = class_counts.numel()
    safe, valid = split_ignored(pred, target, ignore_index, values=classes + 1, owner='seesaw_objectness_loss')
    is_object = valid & (safe < classes)
    class_loss = seesaw_loss(
        pred[:, :classes], torch.where(is_object, safe, -1), class_counts, p=p, q=q, eps=eps, empty_class=empty_class,
        ignore_index=-1, reduction='none',
    )
    objectness = torch.where(valid, (safe == classes).long(), -1)
    loss = shifted_cross_entropy(pred[:, classes:], objectness, ignore_index=-1, reduction='none')
    if class_divisor == 'objects':
        taken = valid if weight is None else valid & (weight > 0)
        class_loss = class_loss * (taken.sum() / (taken & is_object).sum().clamp_min(1))
    return reduce_loss(
        loss + class_loss, valid=valid, weight=weight, normalizer=normalizer, avg_factor=avg_factor,
        reduction=reduction,
    )


def seesaw_scores(logits: Tensor) -> Tensor:
    """Scores of logits (R, C + 2): (R, C + 1), class probability times objectness, and the background last."""
    objectness = logits[..., -2:].softmax(-1)
    return torch.cat([logits[..., :-2].softmax(-1) * objectness[..., :1], objectness[..., 1:]], -1)


@torch.no_grad()
def _log_factors(
    logits: Tensor, safe: Tensor, counts: Tensor, p: float, q: float, eps: float, empty_class: str, use_sigmoid: bool
) -> Tensor:
    """log(M_yj * C_yj) of every element and channel; 0 for j = y, for "no object" and for its elements."""
    classes = counts.numel()
    view = (1, -1) + (1,) * (logits.ndim - 2)
    own = safe.clamp_max(classes - 1).unsqueeze(1)
    if q > 0:
        log_score = F.logsigmoid(logits) if use_sigmoid else torch.log_softmax(logits, 1)
        log_score = log_score[:, :classes]
        factors = (log_score - log_score.gather(1, own).clamp_min_(math.log(eps))).mul_(q).clamp_min_(0.0)
    else:
        factors = torch.zeros_like(logits[:, :classes])
    if p > 0:
        log_count = p * counts.to(logits).clamp_min(1.0).log()
        factors += (log_count.view(view) - log_count[own]).clamp_max_(0.0)
    background = logits.shape[1] > classes
    if background or use_sigmoid:
        factors *= (safe < classes).unsqueeze(1)
    if empty_class == 'mask':
        factors += torch.where(counts == 0, REMOVED, 0.0).to(factors).view(view)
    if not background:
        return factors
    return F.pad(factors, [0, 0] * (logits.ndim - 2) + [0, 1])
