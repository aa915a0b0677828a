"""One-vs-one AUC with the square surrogate: the order of scores between every pair of classes, at linear cost."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import split_ignored
from imbdense.core.losses.class_overlap import mean_over_classes
from imbdense.core.reduction import full_precision


def auc_square_loss(
    pred: Tensor,
    target: Tensor,
    *,
    class_weight: Tensor | None = None,
    ignore_index: int = 255,
    weight: Tensor | None = None,
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Every pair of elements p of class i and q of class j != i should have s_i(p) > s_i(q), with s = sigma(z)::

        loss = mean over i of  1 / (K - 1) sum_{j != i}  mean_{p in i, q in j}  (1 - s_i(p) + s_i(q)) ** 2 / 2

    over the K classes that occur. With a_ci and b_ci the means of s_i and of its square over the elements of class c,
    a pair of classes costs (1 - 2 a_ii + b_ii) / 2 + b_ji / 2 + a_ji (1 - a_ii): O(elements * C), not its square.
    Each pair of classes counts alike, whatever their sizes.

    Args:
        pred: logits (N, C, *spatial) or (P, C); the elements of the whole batch together.
        target: class indices (N, *spatial) or (P,).
        class_weight: (C,) weight of class i in the outer mean.
        ignore_index: label value of elements that count nothing (exactly zero gradient).
        weight: (N, *spatial) or (P,) >= 0, the mass of each element in the means.
        avg_factor: divides the sum over the classes that occur instead of their number.
        reduction: 'mean', 'sum', or 'none': (C,), 0 for a class that does not occur.

    Returns:
        float32. 0 with a graph when fewer than two classes occur.

    Source: Han et al., AUCSeg, NeurIPS 2024 (there as a second term beside cross-entropy, weight 4 on ADE20K).
    """
    safe, valid = split_ignored(pred, target, ignore_index, owner='auc_square_loss')
    classes = pred.shape[1]
    score = full_precision(pred).sigmoid().movedim(1, -1).reshape(-1, classes)
    mass = valid.to(score.dtype) if weight is None else valid * weight.to(score.dtype)
    label, mass = safe.flatten(), mass.expand(valid.shape).flatten()
    number = score.new_zeros(classes).index_add(0, label, mass)
    divisor = number.clamp_min(1e-12).unsqueeze(1)
    table = score.new_zeros(classes, classes)
    weighted = score * mass.unsqueeze(1)
    first = table.index_add(0, label, weighted) / divisor  # a[c, i]
    second = table.index_add(0, label, weighted * score) / divisor  # b[c, i]
    own = first.diagonal()
    pair = (1 - 2 * own + second.diagonal()) / 2 + second / 2 + first * (1 - own)  # [j, i]
    occurs = (number > 0).to(score.dtype)
    others = occurs.unsqueeze(1) * (1 - torch.eye(classes, dtype=score.dtype, device=score.device))
    loss = (pair * others).sum(0) / (occurs.sum() - 1).clamp_min(1)
    # With a single class there is no pair: the sum above is zero already, for a[c, i] of absent classes is masked out.
    return mean_over_classes(
        loss, number, skip_absent=True, include_background=True, class_weight=class_weight, avg_factor=avg_factor,
        reduction=reduction,
    )
