"""Balanced supervised contrastive learning: every class weighs alike in the denominator and has a prototype."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_number, split_ignored
from imbdense.core.reduction import full_precision, reduce_loss


def bal_scl_loss(
    features: Tensor,
    labels: Tensor,
    prototypes: Tensor,
    *,
    temperature: float = 0.1,
    ignore_index: int = -1,
    weight: Tensor | None = None,
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Supervised contrastive loss with class-averaged negatives and class complement.

    For row i with label y against all other rows and the C prototypes (columns j, label y_j)::

        u_ij = f_i . f_j / temperature
        d_i = sum_{j != i} e^{u_ij} / (n_{y_j} - [y_j = y]),   n_c = rows of class c + 1 (its prototype)
        loss_i = - mean over positives j of ( u_ij - log d_i )

    So the head class does not rule the denominator by its number, and a class with one row still has a positive: its
    prototype.

    Args:
        features: (M, D) of unit length, the views of a batch below each other.
        labels: (M,) class indices.
        prototypes: (C, D) of unit length, one per class.
        temperature: > 0.
        ignore_index: label of rows that count nothing.
        weight, avg_factor, reduction: over the rows, see :func:`~imbdense.core.reduction.reduce_loss`.

    Returns:
        float32. 0 with a graph without a valid row.

    Source: Zhu et al., Balanced contrastive learning for long-tailed visual recognition, CVPR 2022.
    """
    owner = 'bal_scl_loss'
    check_number('temperature', temperature, low=0.0, low_open=True, owner=owner)
    classes = prototypes.shape[0]
    if features.ndim != 2 or prototypes.ndim != 2 or features.shape[1] != prototypes.shape[1]:
        raise ValueError(
            f'{owner}: expected features (M, D) and prototypes (C, D), but got {tuple(features.shape)} and '
            f'{tuple(prototypes.shape)}.'
        )
    safe, valid = split_ignored(features.new_empty(features.shape[0], classes), labels, ignore_index, owner=owner)
    rows = safe.numel()
    vectors = full_precision(features)
    columns = torch.cat([vectors, prototypes.to(vectors.dtype)])
    label = torch.cat([safe, torch.arange(classes, device=safe.device)])
    known = torch.cat([valid, valid.new_ones(classes)])
    with torch.autocast(vectors.device.type, enabled=False):
        logits = vectors @ columns.t() / temperature
    logits = logits - logits.detach().amax(1, keepdim=True)

    partner = known.unsqueeze(0).repeat(rows, 1)
    partner[:, :rows].fill_diagonal_(False)
    positive = (partner & (safe.unsqueeze(1) == label.unsqueeze(0))).to(logits.dtype)
    number = logits.new_zeros(classes).index_add(0, label, known.to(logits.dtype))
    share = partner.to(logits.dtype) / (number[label].unsqueeze(0) - positive).clamp_min(1.0)
    log_p = logits - torch.log((logits.exp() * share).sum(1, keepdim=True))
    loss = -(positive * log_p).sum(1) / positive.sum(1).clamp_min(1.0)
    return reduce_loss(loss, valid=valid, weight=weight, normalizer='valid', avg_factor=avg_factor, reduction=reduction)
