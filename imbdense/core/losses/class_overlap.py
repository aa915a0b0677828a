"""Soft true positives per class, and the mean over the classes taken: shared by the Dice and the Tversky loss."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, split_ignored
from imbdense.core.reduction import REDUCTIONS, full_precision

OVERLAP_GROUPS: tuple[str, ...] = ('batch', 'image')


class ClassOverlap(NamedTuple):
    """Sums over valid elements, each (C,) for a batch or (N, C) per image; v = weight of an element, 0 if ignored.

    overlap: sum v p y. predicted: sum v p (or p squared). labelled: sum v y.
    """

    overlap: Tensor
    predicted: Tensor
    labelled: Tensor


def class_overlap(
    pred: Tensor,
    target: Tensor,
    *,
    per: str,
    use_sigmoid: bool,
    ignore_index: int,
    weight: Tensor | None,
    owner: str,
    squared: bool = False,
) -> ClassOverlap:
    """Gather, scatter and one matrix-vector product; no one-hot tensor. ``pred`` (P, C) is one image of P points."""
    check_choice('per', per, OVERLAP_GROUPS, owner=owner)
    safe, valid = split_ignored(pred, target, ignore_index, owner=owner)
    logits = full_precision(pred)
    probability = logits.sigmoid() if use_sigmoid else logits.softmax(1)
    mass = valid.to(logits.dtype) if weight is None else valid * weight.to(logits.dtype)
    if pred.ndim == 2:
        probability, safe, mass = probability.t().unsqueeze(0), safe.unsqueeze(0), mass.unsqueeze(0)
    probability, safe, mass = probability.flatten(2), safe.flatten(1), mass.flatten(1)
    own = probability.gather(1, safe.unsqueeze(1)).squeeze(1) * mass
    zeros = probability.new_zeros(probability.shape[:2])
    powered = probability.square() if squared else probability
    sums = ClassOverlap(
        overlap=zeros.scatter_add(1, safe, own),
        predicted=weighted_sums(powered, mass),
        labelled=zeros.scatter_add(1, safe, mass),
    )
    return ClassOverlap(*(value.sum(0) for value in sums)) if per == 'batch' else sums


def weighted_sums(values: Tensor, mass: Tensor) -> Tensor:
    """sum_s values (N, C, S) * mass (N, S), in the precision of ``values``: autocast would make it a half product."""
    with torch.autocast(values.device.type, enabled=False):
        return torch.bmm(values, mass.unsqueeze(2)).squeeze(2)


def mean_over_classes(
    loss: Tensor,
    labelled: Tensor,
    *,
    skip_absent: bool,
    include_background: bool,
    class_weight: Tensor | None,
    avg_factor: float | Tensor | None,
    reduction: str,
) -> Tensor:
    """Reduce a loss per class, (C,) or (N, C), over the classes taken, then over the images that take one.

    ``reduction='none'`` returns the weighted map (0 where a class is left out), 'sum' its sum; ``avg_factor`` divides
    the sum instead of the weight of the classes.
    """
    check_choice('reduction', reduction, REDUCTIONS, owner='mean_over_classes')
    taken = _taken_weight(labelled, class_weight, skip_absent, include_background)
    loss = taken * loss
    if reduction == 'none':
        return loss
    if avg_factor is not None:
        if reduction == 'sum':
            raise ValueError("avg_factor can not be used with reduction='sum'; use 'mean' or leave avg_factor out.")
        return loss.sum() / torch.as_tensor(avg_factor, dtype=loss.dtype, device=loss.device).clamp_min(1e-12)
    if reduction == 'sum':
        return loss.sum()
    means = loss.sum(-1) / taken.sum(-1).clamp_min(1e-12)
    return means.sum() / (taken.sum(-1) > 0).sum().clamp_min(1) if loss.ndim == 2 else means


def _taken_weight(
    labelled: Tensor, class_weight: Tensor | None, skip_absent: bool, include_background: bool
) -> Tensor:
    """The weight of each class in the mean: 0 when it is left out. An image without any valid element takes none."""
    counted = labelled > 0
    taken = counted if skip_absent else counted.any(-1, keepdim=True).expand_as(counted)
    result = taken.to(labelled.dtype)
    if class_weight is not None:
        result = result * class_weight.to(labelled)
    if not include_background:
        keep = torch.ones_like(result)
        keep[..., 0] = 0
        result = result * keep
    return result
