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


def full_precision(tensor: Tensor) -> Tensor:
    """Return ``tensor`` in the precision losses compute in: float64 stays, everything else becomes float32.

    Half precision under autocast would lose the small terms of a rare class; float64 is kept so that gradients can be
    checked numerically.
    """
    return tensor if tensor.dtype == torch.float64 else tensor.float()


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
        float32 scalar (float64 for a float64 map), or the map for 'none'. With nothing valid the mean is an exact 0
        that keeps the graph.

    Raises:
        ValueError: unknown names, or ``avg_factor`` with ``reduction='sum'``.
    """
    check_choice('normalizer', normalizer, NORMALIZERS)
    check_choice('reduction', reduction, REDUCTIONS)
    if avg_factor is not None and reduction == 'sum':
        raise ValueError("avg_factor can not be used with reduction='sum'; use 'mean' or leave avg_factor out.")
    terms = full_precision(loss)
    mass = _element_weights(terms, valid, class_weight)
    if mass is not None:
        terms = terms * mass
    if weight is not None:
        terms = terms * weight.to(terms.dtype)
    if reduction == 'none':
        return terms
    numerator = terms.sum()
    if reduction == 'sum':
        return numerator
    if avg_factor is not None:
        return numerator / torch.as_tensor(avg_factor, dtype=terms.dtype, device=terms.device).clamp_min(1e-12)
    return numerator / _denominator(terms, valid, mass, normalizer)


def _element_weights(terms: Tensor, valid: Tensor | None, class_weight: Tensor | None) -> Tensor | None:
    """v_i * w_i, or ``None`` when both are one everywhere."""
    if valid is None:
        return None if class_weight is None else class_weight.to(terms.dtype)
    mask = valid.to(terms.dtype)
    return mask if class_weight is None else mask * class_weight.to(terms.dtype)


def _denominator(terms: Tensor, valid: Tensor | None, mass: Tensor | None, normalizer: str) -> Tensor:
    """The divisor; clamped so that an empty sum gives 0 / tiny = 0 and not NaN."""
    if normalizer == 'weight_sum' and mass is not None:
        return mass.sum().clamp_min(1e-12)
    if normalizer == 'valid' and valid is not None:
        return valid.to(terms.dtype).sum().clamp_min(1.0)
    return terms.new_tensor(max(terms.numel(), 1))


def count_values(index: Tensor, size: int, weights: Tensor | None = None) -> Tensor:
    """Sum of ``weights`` (or number) of the elements with each value of ``index``, (size,) float64 or int64.

    ``torch.bincount`` for values that are known to lie in [0, size): it looks for the largest value, which makes a GPU
    wait and breaks a compiled graph, so it is used on the CPU alone (where it is the fastest).
    """
    flat = index.flatten()
    if flat.device.type == 'cpu' and not torch.compiler.is_compiling():
        return torch.bincount(flat, None if weights is None else weights.flatten().double(), minlength=size)
    amount = torch.ones_like(flat, dtype=torch.int64) if weights is None else weights.flatten().double()
    return amount.new_zeros(size).scatter_add_(0, flat.long(), amount)


def zero_with_graph(tensor: Tensor) -> Tensor:
    """An exact float32 zero, attached to ``tensor``: backward gives it a zero gradient, never ``None`` and never NaN.

    Every rank must return the same loss keys with a graph, or DistributedDataParallel waits for ever. Summing an empty
    slice instead of ``tensor * 0`` stays zero when ``tensor`` holds inf or NaN.
    """
    return tensor.flatten()[:0].float().sum()
