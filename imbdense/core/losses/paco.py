"""Parametric contrastive learning: class logits and pairs of features in one softmax."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_counts, check_number, split_ignored
from imbdense.core.reduction import full_precision, reduce_loss


def paco_loss(
    features: Tensor,
    labels: Tensor,
    logits: Tensor,
    class_counts: Tensor | None = None,
    *,
    alpha: float = 0.05,
    beta: float = 1.0,
    gamma: float = 1.0,
    temperature: float = 0.2,
    logit_temperature: float = 1.0,
    smoothing: float = 0.0,
    ignore_index: int = -1,
    weight: Tensor | None = None,
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """PaCo; with ``smoothing`` > 0 and no prior it is GPaCo.

    For anchor i with label y, class columns k and feature columns j != i::

        u_ik = (z_ik + log(pi_k + 1e-9)) / logit_temperature          u_ij = f_i . f_j / temperature
        log p = u - log( sum_k e^{u_ik} + gamma * sum_j e^{u_ij} + 1e-12 )
        loss_i = - sum w log p / sum w,   w_iy = beta,   w_ij = alpha where y_j = y

    with smoothing s the class weights are beta * (1 - s) at y and beta * s / (C - 1) elsewhere.

    Args:
        features: (M, D) of unit length; the first B rows are the anchors, the rest (second views, a queue) are only
            compared with.
        labels: (M,) class indices.
        logits: (B, C) class logits of the anchors.
        class_counts: (C,) counts or prior pi; ``None`` = no prior term (GPaCo).
        alpha, beta, gamma: >= 0, weights of the pairs, of the class term, of the pairs in the denominator.
        temperature, logit_temperature: > 0.
        smoothing: in [0, 1), of the class term.
        ignore_index: label of rows that count nothing, as anchors and as partners.
        weight, avg_factor, reduction: over the anchors, see :func:`~imbdense.core.reduction.reduce_loss`.

    Returns:
        float32. 0 with a graph without a valid anchor.

    Source: Cui et al., Parametric contrastive learning, ICCV 2021; Generalized PaCo, TPAMI 2023.
    """
    owner = 'paco_loss'
    for name, value in (('alpha', alpha), ('beta', beta), ('gamma', gamma)):
        check_number(name, value, low=0.0, owner=owner)
    for name, value in (('temperature', temperature), ('logit_temperature', logit_temperature)):
        check_number(name, value, low=0.0, low_open=True, owner=owner)
    _check_shapes(features, labels, logits, owner)
    anchors, classes = logits.shape
    safe, valid = split_ignored(features.new_empty(features.shape[0], classes), labels, ignore_index, owner=owner)
    scores = full_precision(logits)
    if class_counts is not None:
        prior = check_counts(class_counts, owner=owner).to(scores)
        scores = scores + torch.log(prior / prior.sum() + 1e-9)
    partner = valid.unsqueeze(0).repeat(anchors, 1)
    partner[:, :anchors].fill_diagonal_(False)
    log_p = _log_probability(full_precision(features), scores / logit_temperature, partner, temperature, gamma)

    same = partner & (safe.unsqueeze(0) == safe[:anchors].unsqueeze(1))
    own = torch.full_like(scores, smoothing / max(classes - 1, 1))
    own.scatter_(1, safe[:anchors].unsqueeze(1), 1.0 - smoothing)
    positive = torch.cat([beta * own, alpha * same.to(scores.dtype)], 1)
    loss = -(positive * log_p).sum(1) / positive.sum(1).clamp_min(1e-12)
    return reduce_loss(
        loss, valid=valid[:anchors], weight=weight, normalizer='valid', avg_factor=avg_factor, reduction=reduction
    )


def _check_shapes(features: Tensor, labels: Tensor, logits: Tensor, owner: str) -> None:
    """Features (M, D), labels (M,) and logits (B, C) with B <= M, or a ValueError."""
    if features.ndim != 2 or features.shape[0] < logits.shape[0] or labels.shape != features.shape[:1]:
        raise ValueError(
            f'{owner}: expected features (M, D), labels (M,) and logits (B, C) with B <= M, but got '
            f'{tuple(features.shape)}, {tuple(labels.shape)} and {tuple(logits.shape)}.'
        )


def _log_probability(vectors: Tensor, scores: Tensor, partner: Tensor, temperature: float, gamma: float) -> Tensor:
    """log p of the C class columns and the M feature columns, (B, C + M); ``partner`` says which features count."""
    with torch.autocast(vectors.device.type, enabled=False):
        pairs = vectors[: len(scores)] @ vectors.t() / temperature
    columns = torch.cat([scores, pairs], 1)
    columns = columns - columns.detach().amax(1, keepdim=True)
    share = torch.cat([torch.ones_like(scores), gamma * partner.to(scores.dtype)], 1)
    return columns - torch.log((columns.exp() * share).sum(1, keepdim=True) + 1e-12)
