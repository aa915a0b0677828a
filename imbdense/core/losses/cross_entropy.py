"""Softmax cross-entropy with a per-class shift of the logits and per-class weights: engine of the softmax losses."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from imbdense.core.checks import split_ignored
from imbdense.core.reduction import full_precision, reduce_loss

LOG2_E = math.log2(math.e)


def shifted_cross_entropy(
    pred: Tensor,
    target: Tensor,
    *,
    shift: Tensor | None = None,
    class_weight: Tensor | None = None,
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
    owner: str = 'shifted_cross_entropy',
) -> Tensor:
    """Cross-entropy of softmax(z + shift), weighted by class.

    Per element i with label y and logits z::

        l_i = w_y * ( logsumexp_c(z_c + shift_c) - z_y - shift_y )            index targets
        l_i = sum_c w_c * t_c * ( logsumexp_k(z_k + shift_k) - z_c - shift_c )   soft targets t

    Args:
        pred: logits (N, C, *spatial) or (P, C).
        target: integer (N, *spatial) or (P,); or probabilities of the shape of ``pred`` (nothing is ignored then,
            the weight of an element is sum_c w_c * t_c).
        shift: (C,) added to the logits; ``None`` = 0. It gets no gradient.
        class_weight: (C,) >= 0; ``None`` = 1.
        ignore_index: label value whose elements count nothing and get an exactly zero gradient.
        weight, normalizer, avg_factor, reduction: see :func:`~imbdense.core.reduction.reduce_loss`; ``weight`` has
            the shape of the map, (N, *spatial) or (P,).
        owner: name of the caller, for messages.

    Returns:
        float32 scalar, or the map (N, *spatial) for ``reduction='none'``. 0 with a graph when nothing is valid.

    Raises:
        ValueError: a target value is neither a class nor ``ignore_index``; shapes disagree.
    """
    logits = full_precision(pred)
    options: dict[str, Any] = {
        'weight': weight, 'normalizer': normalizer, 'avg_factor': avg_factor, 'reduction': reduction
    }
    if target.is_floating_point():
        return _soft_loss(logits, target, shift, class_weight, options, owner)
    loss, safe, valid = softmax_nll(pred, target, shift=shift, ignore_index=ignore_index, owner=owner)
    weights = None if class_weight is None else class_weight.to(logits)[safe]
    return reduce_loss(loss, valid=valid, class_weight=weights, **options)


def softmax_nll(
    pred: Tensor,
    target: Tensor,
    *,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    own_shift: Tensor | None = None,
    ignore_index: int = 255,
    owner: str = 'softmax_nll',
) -> tuple[Tensor, Tensor, Tensor]:
    """The map -log softmax(a)_y of affinely changed logits, the part that the softmax losses share::

        a_c = scale_c * z_c + shift_c + own_shift_c * 1[c = y]

    None of the three gets a gradient; the one of z is scale_c * (softmax(a)_c - 1[c = y]).

    Args:
        pred: logits (N, C, *spatial) or (P, C).
        target: integer (N, *spatial) or (P,).
        scale: (C,) or (1,); ``None`` = 1.
        shift: (C,), or of the shape of ``pred`` (for noise; it is **overwritten**); ``None`` = 0.
        own_shift: (C,), added to the label's logit only (a margin is negative); ``None`` = 0.
        ignore_index: label value whose elements get loss 0 and gradient 0.
        owner: name of the caller, for messages.

    Returns:
        (nll, safe, valid), each (N, *spatial) or (P,): the map, float32 (float64 for float64); the labels with 0 where
        ignored; where they are not ignored.
    """
    logits = full_precision(pred)
    safe, valid = split_ignored(pred, target, ignore_index, owner=owner)
    scale, shift, own_shift = (None if part is None else part.to(logits) for part in (scale, shift, own_shift))
    own = None if own_shift is None else own_shift[safe]
    return _ShiftedCrossEntropy.apply(logits, scale, shift, own, safe, valid), safe, valid


def _soft_loss(
    logits: Tensor,
    target: Tensor,
    shift: Tensor | None,
    class_weight: Tensor | None,
    options: dict[str, Any],
    owner: str,
) -> Tensor:
    """Cross-entropy against class probabilities."""
    if target.shape != logits.shape:
        raise ValueError(
            f'{owner}: soft targets must have the shape of the logits, {tuple(logits.shape)}, '
            f'but have {tuple(target.shape)}.'
        )
    view = (1, -1) + (1,) * (logits.ndim - 2)
    adjusted = logits if shift is None else logits + shift.to(logits).view(view)
    mass = target.to(logits.dtype)
    weighted = mass if class_weight is None else mass * class_weight.to(logits).view(view)
    loss = -(weighted * torch.log_softmax(adjusted, 1)).sum(1)
    # The weight is inside the map already; reduce_loss must only divide by it.
    if options['reduction'] == 'mean' and options['avg_factor'] is None and options['normalizer'] == 'weight_sum':
        options = {**options, 'avg_factor': weighted.sum()}
    return reduce_loss(loss, **options)


class _ShiftedCrossEntropy(torch.autograd.Function):
    """The index-target map with its gradient written out: scale * (softmax(a) - onehot).

    As separate operations the shift costs one more pass over the logits and the ``reduction='none'`` gradient another;
    together they miss the speed of F.cross_entropy by a fifth. Written out they reach it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        scale: Tensor | None,
        shift: Tensor | None,
        own: Tensor | None,
        safe: Tensor,
        valid: Tensor,
    ) -> Tensor:
        changed = _changed_logits(logits, scale, shift, own, safe)
        if changed is None:
            log_prob = torch.log_softmax(logits, 1)
        else:
            log_prob = torch.log_softmax(changed, 1, out=changed)  # in place: a fresh tensor costs more than the sum
        ctx.save_for_backward(log_prob, scale, safe, valid)
        return torch.where(valid, -log_prob.gather(1, safe.unsqueeze(1)).squeeze(1), 0.0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        log_prob, scale, safe, valid = ctx.saved_tensors
        grad = torch.where(valid, grad, 0.0).unsqueeze(1)
        if scale is not None and scale.numel() == 1:
            grad, scale = grad * scale, None
        out = probabilities(log_prob).mul_(grad)
        out.scatter_add_(1, safe.unsqueeze(1), -grad)
        if scale is not None:
            out.mul_(_over_channels(scale, out.ndim))
        return out, None, None, None, None, None


def probabilities(log_prob: Tensor) -> Tensor:
    """e^log_prob, a fresh tensor.

    On a CPU exp is ten times slower than usual where the result is tiny or zero, as it is for classes taken out of
    the softmax; exp2 is not, and is the faster one anyway. The extra pass is only worth it there.
    """
    return log_prob.mul(LOG2_E).exp2_() if log_prob.device.type == 'cpu' else log_prob.exp()


def _changed_logits(
    logits: Tensor, scale: Tensor | None, shift: Tensor | None, own: Tensor | None, safe: Tensor
) -> Tensor | None:
    """A fresh tensor scale * z + shift + own at the label; ``None`` when nothing changes."""
    if shift is not None and shift.ndim > 1:  # noise of the shape of the logits: its memory is used
        changed = shift.add_(logits if scale is None else logits * _over_channels(scale, logits.ndim))
    elif scale is not None:
        changed = logits * _over_channels(scale, logits.ndim)
        if shift is not None:
            changed.add_(_over_channels(shift, logits.ndim))
    elif shift is not None:
        changed = logits + _over_channels(shift, logits.ndim)
    elif own is None:
        return None
    else:
        changed = logits.clone()
    if own is not None:
        changed.scatter_add_(1, safe.unsqueeze(1), own.unsqueeze(1))
    return changed


def _over_channels(values: Tensor, ndim: int) -> Tensor:
    """(C,) viewed so that it broadcasts over logits with ``ndim`` dims."""
    return values.view((1, -1) + (1,) * (ndim - 2))
