"""From a per-element loss map to a scalar, in one documented order: map -> weights -> normaliser -> scalar."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from imbdense.core.checks import check_choice

Normalizer = Literal['weight_sum', 'valid', 'all']
Reduction = Literal['none', 'mean', 'sum']
NORMALIZERS: tuple[str, ...] = ('weight_sum', 'valid', 'all')
REDUCTIONS: tuple[str, ...] = ('none', 'mean', 'sum')


def reduce_loss(
    loss: Tensor,
    *,
    valid: Tensor | None = None,
    class_weight: Tensor | None = None,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Reduce a per-element loss map.

    With l the loss map, v its validity (1 or 0), w the class weight of each element and s the sample weight::

        numerator   = sum_i v_i * w_i * s_i * l_i
        denominator = avg_factor                  if given (what detection heads pass)
                      sum_i v_i * w_i             normalizer='weight_sum' (F.cross_entropy(weight=...) does this)
                      sum_i v_i                   normalizer='valid'
                      number of elements          normalizer='all' (ignored ones included; mmseg's default)

    Sample weights act on the numerator only, so doubling one exactly doubles its term.

    Args:
        loss: map of any shape, float.
        valid: bool or float, same shape; ``None`` = all valid. The map must be finite where it is 0.
        class_weight: same shape; the weight of each element's class. ``None`` = 1.
        weight: sample weights, broadcastable to ``loss``.
        normalizer: one of :data:`NORMALIZERS`; used by ``reduction='mean'`` without ``avg_factor``.
        avg_factor: explicit denominator > 0.
        reduction: 'mean' (numerator / denominator), 'sum' (numerator), 'none' (the weighted map, ignored = 0).

    Returns:
        float32 scalar, or the map for 'none'. With nothing valid the mean is an exact 0 that keeps the graph.

    Raises:
        ValueError: unknown names, or ``avg_factor`` with ``reduction='sum'``.
    """
    check_choice('normalizer', normalizer, NORMALIZERS)
    check_choice('reduction', reduction, REDUCTIONS)
    if avg_factor is not None and reduction == 'sum':
        raise ValueError("avg_factor can not be used with reduction='sum'; use 'mean' or leave avg_factor out.")
    terms = loss.float()
    total_weight = _element_weights(valid, class_weight)
    if total_weight is not None:
        terms = terms * total_weight
    if weight is not None:
        terms = terms * weight.float()
    if reduction == 'none':
        return terms
    numerator = terms.sum()
    if reduction == 'sum':
        return numerator
    if avg_factor is not None:
        return numerator / torch.as_tensor(avg_factor, dtype=torch.float32, device=loss.device).clamp_min(1e-12)
    return numerator / _denominator(loss, valid, total_weight, normalizer)




def _element_weights(valid: Tensor | None, class_weight: Tensor | None) -> Tensor | None:
    """v_i * w_i, or ``None`` when both are one everywhere."""
    if valid is None:
        return None if class_weight is None else class_weight.float()
    mask = valid.float()
    return mask if class_weight is None else mask * class_weight.float()


def _denominator(loss: Tensor, valid: Tensor | None, total_weight: Tensor | None, normalizer: str) -> Tensor:
    """The divisor; clamped so that an empty sum gives 0 / tiny = 0 and not NaN."""
    if normalizer == 'weight_sum' and total_weight is not None:
        return total_weight.sum().clamp_min(1e-12)
    if normalizer == 'valid' and valid is not None:
        return valid.float().sum().clamp_min(1.0)
    return loss.new_tensor(max(loss.numel(), 1), dtype=torch.float32)


def zero_with_graph(tensor: Tensor) -> Tensor:
    """An exact float32 zero, attached to ``tensor``: backward gives it a zero gradient, never ``None`` and never NaN.

    Every rank must return the same loss keys with a graph, or DistributedDataParallel waits for ever. Summing an empty
    slice instead of ``tensor * 0`` stays zero when ``tensor`` holds inf or NaN.
    """
    return tensor.flatten()[:0].float().sum()
