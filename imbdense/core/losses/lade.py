"""LADE: a regulariser that makes each logit a density ratio, whatever the class distribution of the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from imbdense.core.checks import check_channels, check_choice, check_counts, check_number, split_ignored
from imbdense.core.losses.prior_shift import EMPTY_CLASS_POLICIES
from imbdense.core.reduction import REDUCTIONS, full_precision, zero_with_graph
from imbdense.core.stats import fill_empty_classes

LEFT_OUT = -1e30
"""Added to the logits of elements that count nothing, so that they never are the largest."""

NEGLIGIBLE = -80.0
"""Exponents below are taken as this: e^-80 of the largest term is nothing, and smaller ones are slow to compute."""


def lade_loss(
    pred: Tensor,
    target: Tensor,
    class_counts: Tensor | Sequence[float],
    *,
    remine_lambda: float = 0.1,
    empty_class: str = 'one',
    ignore_index: int = 255,
    weight: Tensor | None = None,
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Minus a regularised lower bound of the divergence between each class and the whole, weighted by the prior::

        T_c  = log mean_i e^{z_ic} - log pi_c + log(1/C)
        loss = - sum_c pi_c * ( mean_{i: y_i = c} z_ic  -  T_c  -  lambda * T_c^2 )

    over the valid elements of the batch; the mean over an absent class is 0. It is meant *beside* balanced softmax,
    with weight 0.1 (0.05 for iNaturalist); alone, it leaves the training prior in the logits.

    Args:
        pred: logits (N, C, *spatial) or (P, C), without background channel.
        target: class indices (N, *spatial) or (P,).
        class_counts: (C,) >= 0.
        remine_lambda: >= 0, how strongly T_c is held at 0.
        empty_class: 'one', or 'mask': a class of count 0 gives no term.
        ignore_index: label value of elements that count nothing (exactly zero gradient).
        weight: (N, *spatial) or (P,), the mass of each element in both means.
        avg_factor: divides the sum over classes.
        reduction: 'mean' and 'sum' are the sum above (its weights sum to 1); 'none' gives its terms, (C,).

    Returns:
        float32. 0 with a graph when nothing is valid. The value may be negative.

    Example (n = [1, 1], z = [[1, 0], [0, 1]], y = [0, 1], lambda = 0): T = log((e + 1) / 2) = .6201, loss = -.3799.

    Source: Hong et al., Disentangling label distribution for long-tailed visual recognition, CVPR 2021.
    """
    owner = 'lade_loss'
    check_choice('reduction', reduction, REDUCTIONS, owner=owner)
    check_choice('empty_class', empty_class, EMPTY_CLASS_POLICIES, owner=owner)
    remine_lambda = check_number('remine_lambda', remine_lambda, low=0.0, owner=owner)
    if avg_factor is not None and reduction == 'sum':
        raise ValueError("avg_factor can not be used with reduction='sum'; use 'mean' or leave avg_factor out.")
    counts = check_counts(class_counts, owner=owner).to(pred.device)
    check_channels(pred, counts.numel(), owner=owner)
    safe, valid = split_ignored(pred, target, ignore_index, owner=owner)
    logits = full_precision(pred)
    if pred.numel() == 0:
        return zero_with_graph(pred) if reduction != 'none' else zero_with_graph(pred) + logits.new_zeros(pred.shape[1])
    mass = valid.to(logits) if weight is None else valid * weight.to(logits)
    values = fill_empty_classes(counts)
    prior = values / values.sum()
    first, log_mean = _class_terms(logits, safe, mass)
    bound = log_mean - (prior.log() + math.log(prior.numel())).to(logits)
    share = torch.where(counts == 0, 0.0, prior) if empty_class == 'mask' else prior
    terms = -share.to(logits) * (first - bound - remine_lambda * bound.square())
    terms = torch.where(mass.sum() > 0, terms, 0.0)
    if reduction == 'none':
        return terms
    total = terms.sum()
    if avg_factor is None:
        return total
    return total / torch.as_tensor(avg_factor, dtype=total.dtype, device=total.device).clamp_min(1e-12)


def _class_terms(logits: Tensor, safe: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
    """Per class: the mean of its logit over its own elements, and log mean e^z over all; (C,) each."""
    flat = logits.flatten(2) if logits.ndim > 2 else logits.t().unsqueeze(0)  # points: one image
    labels, amount = safe.reshape(flat.shape[0], -1), mass.reshape(flat.shape[0], -1)
    own, log_sum = _ClassSums.apply(flat, labels, amount)
    labelled = mass.new_zeros(flat.shape[1]).scatter_add(0, labels.flatten(), amount.flatten())
    total = amount.sum()
    log_mean = torch.where(total > 0, log_sum - total.clamp_min(1e-12).log(), 0.0)
    return own / torch.where(labelled > 0, labelled, 1.0), log_mean


class _ClassSums(torch.autograd.Function):
    """sum_i s_i 1[y_i = c] z_ic and log sum_i s_i e^{z_ic}, (C,) each, of logits (N, C, L), with one saved tensor."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
        scaled = logits + torch.where(mass > 0, 0.0, LEFT_OUT).to(logits).unsqueeze(1)
        top = scaled.amax((0, 2))
        scaled.sub_(top.view(1, -1, 1)).clamp_(min=NEGLIGIBLE).exp_().mul_(mass.unsqueeze(1))
        sums = scaled.sum((0, 2))
        own = logits.gather(1, labels.unsqueeze(1)).squeeze(1) * mass
        sums = sums.clamp_min(1e-30)  # 0 when nothing counts
        ctx.save_for_backward(scaled, sums, labels, mass)
        return logits.new_zeros(logits.shape[1]).scatter_add(0, labels.flatten(), own.flatten()), top + sums.log()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_own: Tensor, grad_log: Tensor) -> tuple[Tensor, None, None]:
        scaled, sums, labels, mass = ctx.saved_tensors
        out = scaled * (grad_log / sums).view(1, -1, 1)
        return out.scatter_add_(1, labels.unsqueeze(1), (grad_own[labels] * mass).unsqueeze(1)), None, None
