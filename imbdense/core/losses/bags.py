"""Balanced group softmax: classes only compete with classes of similar frequency."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.core.checks import split_ignored
from imbdense.core.losses.cross_entropy import shifted_cross_entropy
from imbdense.core.reduction import full_precision, reduce_loss

GROUP_EDGES: tuple[float, ...] = (10.0, 100.0, 1000.0)


def class_groups(class_counts: Tensor, edges: Sequence[float] = GROUP_EDGES, *, empty_class: str = 'one') -> Tensor:
    """Group of each class, (C,) int64: 0 for counts below the first edge, ..., len(edges) from the last edge on.

    A class of count 0 is in the first group; with ``empty_class='mask'`` in none (-1).
    """
    counts = class_counts.to(torch.float64)
    # Counts that come back from a distribution are a rounding error away from whole numbers, and edges are whole.
    group = torch.bucketize(counts * (1 + 1e-9), counts.new_tensor(edges), right=True)
    return torch.where(counts == 0, -1, group) if empty_class == 'mask' else group


def balanced_group_softmax_loss(
    pred: Tensor,
    target: Tensor,
    groups: Tensor,
    number_of_groups: int,
    *,
    others_ratio: float = 8.0,
    ignore_index: int = -1,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """One softmax per group of classes plus "others", and one for object / background, each averaged over its samples.

    In group g the samples of its classes are members, all others (objects of other groups, background) are labelled
    "others" and weighted down to ``others_ratio`` times as many::

        w_g    = min(1, others_ratio * members / non-members)                      0 without a member
        loss_i = CE(object / background) + sum_g r_g * (1 if member of g else w_g) * CE_g
        r_g    = number of regions / (members + w_g * non-members)

    The paper draws that many non-members at random; the weight is the expectation of it, without the noise. With
    ``avg_factor`` = the number of regions each softmax is a mean over its samples.

    Args:
        pred: logits (R, C + G + 2): C classes, the "others" of each of the G groups, background, object.
        target: (R,) class indices, C = background.
        groups: (C,) from :func:`class_groups`.
        number_of_groups: G.
        others_ratio: > 0.
        ignore_index, weight, normalizer, avg_factor, reduction: see :mod:`imbdense.core.losses`. Ignored regions and
            those of weight 0 are not counted in the averages.

    Raises:
        ValueError: ``pred`` does not have C + G + 2 channels.

    Source: Li et al., Overcoming Classifier Imbalance for Long-tail Object Detection with Balanced Group Softmax,
    CVPR 2020.
    """
    classes = groups.numel()
    _check_layout(pred, classes, number_of_groups)
    safe, valid = split_ignored(
        pred, target, ignore_index, values=classes + 1, owner='balanced_group_softmax_loss'
    )
    logits = full_precision(pred)
    taken = (valid if weight is None else valid & (weight > 0)).to(logits.dtype)
    objectness = torch.where(valid, (safe < classes).long(), -1)
    loss = shifted_cross_entropy(logits[:, -2:], objectness, ignore_index=-1, reduction='none')
    label_group = F.pad(groups, (0, 1), value=-1)[safe]
    own = logits.gather(1, safe.clamp_max(classes - 1).unsqueeze(1)).squeeze(1)
    for group in range(number_of_groups):
        others = logits[:, classes + group]
        member = label_group == group
        loss_group = _group_normaliser(logits, groups, group, number_of_groups) - torch.where(member, own, others)
        members, rest = (member * taken).sum(), (~member * taken).sum()
        share = (others_ratio * members / rest.clamp_min(1.0)).clamp_max(1.0)
        average = taken.sum() / (members + share * rest).clamp_min(1.0)
        loss = loss + average * torch.where(member, 1.0, share) * loss_group
    return reduce_loss(
        loss, valid=valid, weight=weight, normalizer=normalizer, avg_factor=avg_factor, reduction=reduction
    )


def balanced_group_scores(logits: Tensor, groups: Tensor, number_of_groups: int) -> Tensor:
    """Scores of logits (R, C + G + 2): (R, C + 1), probability within the group times objectness; background last."""
    classes = groups.numel()
    _check_layout(logits, classes, number_of_groups)
    per_group = torch.stack(
        [_group_normaliser(logits, groups, group, number_of_groups) for group in range(number_of_groups)], 1
    )
    within = (logits[:, :classes] - per_group[:, groups.clamp_min(0)]).exp() * (groups >= 0)
    background, is_object = logits[:, -2:].softmax(-1).split(1, -1)
    return torch.cat([within * is_object, background], -1)


def _group_normaliser(logits: Tensor, groups: Tensor, group: int, number_of_groups: int) -> Tensor:
    """(R,) log of the softmax denominator of one group: its classes and its "others"."""
    outside = torch.cat([groups, torch.arange(number_of_groups, device=groups.device)]) != group
    return logits[:, : outside.numel()].masked_fill(outside, -torch.inf).logsumexp(1)


def _check_layout(logits: Tensor, classes: int, number_of_groups: int) -> None:
    """Raise unless there are C + G + 2 channels."""
    wanted = classes + number_of_groups + 2
    if logits.ndim != 2 or logits.shape[1] != wanted:
        raise ValueError(
            f'balanced group softmax needs logits (R, {wanted}) for {classes} classes in {number_of_groups} groups '
            f'(classes, "others" of each group, background, object), but got {tuple(logits.shape)}. Were the same '
            f'classes counted? Only the box heads of two-stage detectors ask the loss for its number of channels.'
        )
