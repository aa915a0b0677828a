"""Label smoothing that is strong for frequent classes and weak for rare ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from imbdense.core.checks import check_counts, check_number, split_ignored
from imbdense.core.losses.cross_entropy import probabilities
from imbdense.core.losses.prior_shift import removed_shift, with_background
from imbdense.core.reduction import full_precision, reduce_loss
from imbdense.core.stats import fill_empty_classes


def smoothing_factors(counts: Tensor, smooth_head: float = 0.4, smooth_tail: float = 0.1) -> Tensor:
    """Return eps_c = eps_K + (eps_1 - eps_K) * sin(pi/2 * (n_c - n_K) / (n_1 - n_K)), (C,) float64.

    n_1 and n_K are the largest and the smallest count; with equal counts every class has eps_K.
    """
    values = fill_empty_classes(counts)
    low, high = values.min(), values.max()
    place = (values - low) / (high - low).clamp_min(1e-12)
    return smooth_tail + (smooth_head - smooth_tail) * torch.sin(0.5 * math.pi * place)


def label_aware_smooth_loss(
    pred: Tensor,
    target: Tensor,
    class_counts: Tensor | Sequence[float],
    *,
    smooth_head: float = 0.4,
    smooth_tail: float = 0.1,
    class_weight: Tensor | None = None,
    empty_class: str = 'one',
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Cross-entropy against labels smoothed by an amount that depends on the class::

        loss = mean_i (1 - eps_y) * -log p_iy + eps_y * mean_k(-log p_ik)

    with eps of :func:`smoothing_factors`. Frequent classes, of which networks are over-confident, are smoothed most.

    Args:
        pred: logits (N, C, *spatial) or (P, C); with a background channel (N, C + 1, ...), smoothed by the mean over
            the objects.
        target: class indices (N, *spatial) or (P,).
        class_counts: (C,) >= 0, without the background.
        smooth_head, smooth_tail: eps_1 of the most and eps_K of the least frequent class, in [0, 1).
        class_weight: (channels,); ``None`` = 1.
        empty_class: 'one' or 'mask': classes of count 0 are out of the softmax and of the mean over k.
        ignore_index, weight, normalizer, avg_factor, reduction: see :mod:`imbdense.core.losses`.

    Example (n = [9, 1], z = [log 3, 0], p = [.75, .25]): y = 0 has eps .4: .8 * .2877 + .2 * 1.3863 = .5074; y = 1 has
    eps .1: .95 * 1.3863 + .05 * .2877 = 1.3314.

    Source: Zhong et al., Improving calibration for long-tailed recognition (MiSLAS), CVPR 2021.
    """
    owner = 'label_aware_smooth_loss'
    head = check_number('smooth_head', smooth_head, low=0.0, high=1.0 - 1e-6, owner=owner)
    tail = check_number('smooth_tail', smooth_tail, low=0.0, high=1.0 - 1e-6, owner=owner)
    counts = check_counts(class_counts, owner=owner).to(pred.device)
    logits, channels = full_precision(pred), pred.shape[1]
    factors = with_background(smoothing_factors(counts, head, tail), counts, channels, owner=owner).to(logits)
    safe, valid = split_ignored(pred, target, ignore_index, owner=owner)
    removed = removed_shift(counts, channels, empty_class, owner=owner)
    kept = logits.new_ones(channels) if removed is None else (removed == 0).to(logits)
    shift = None if removed is None else removed.to(logits)
    loss = _SmoothedNll.apply(logits, shift, kept / kept.sum(), factors[safe], safe, valid)
    return reduce_loss(
        loss, valid=valid, class_weight=None if class_weight is None else class_weight.to(loss)[safe], weight=weight,
        normalizer=normalizer, avg_factor=avg_factor, reduction=reduction,
    )


class _SmoothedNll(torch.autograd.Function):
    """(1 - eps) * -log p_y + eps * sum_k u_k * -log p_k, gradient softmax - (1 - eps) * onehot - eps * u."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, shift: Tensor | None, uniform: Tensor, eps: Tensor, safe: Tensor, valid: Tensor
    ) -> Tensor:
        view = (1, -1) + (1,) * (logits.ndim - 2)
        log_prob = torch.log_softmax(logits if shift is None else logits + shift.view(view), 1)
        own = log_prob.gather(1, safe.unsqueeze(1)).squeeze(1)
        with torch.autocast(logits.device.type, enabled=False):
            spread = torch.matmul(uniform, log_prob.flatten(2)).view(own.shape) if own.ndim > 1 else log_prob @ uniform
        ctx.save_for_backward(log_prob, uniform, eps, safe, valid)
        return torch.where(valid, -torch.lerp(own, spread, eps), 0.0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        log_prob, uniform, eps, safe, valid = ctx.saved_tensors
        view = (1, -1) + (1,) * (log_prob.ndim - 2)
        grad = torch.where(valid, grad, 0.0)
        out = probabilities(log_prob).mul_(grad.unsqueeze(1))
        out.addcmul_((grad * eps).unsqueeze(1), uniform.view(view), value=-1.0)
        out.scatter_add_(1, safe.unsqueeze(1), (grad * (eps - 1.0)).unsqueeze(1))
        return out, None, None, None, None, None
