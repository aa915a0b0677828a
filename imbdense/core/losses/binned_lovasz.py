"""Lovász-softmax without sorting: errors are counted in bins, so the cost is linear in the elements."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_integer, split_ignored
from imbdense.core.losses.class_overlap import OVERLAP_GROUPS, mean_over_classes
from imbdense.core.reduction import count_values, full_precision


def binned_lovasz_loss(
    pred: Tensor,
    target: Tensor,
    *,
    bins: int = 1024,
    per: str = 'batch',
    skip_absent: bool = True,
    include_background: bool = True,
    use_sigmoid: bool = False,
    class_weight: Tensor | None = None,
    ignore_index: int = 255,
    weight: Tensor | None = None,
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Mean over classes of the Lovász extension of 1 - IoU_c, with p = softmax(z) and e_ic = |y_ic - p_ic|::

        loss_c = sum_i w_ic e_ic,   w_ic = what element i adds to J_c when the elements enter from the largest error on
        J_c(F, B) = 1 - (G - F) / (G + B),   F, B = foreground and background entered so far, G = all foreground

    Instead of sorting (n log n, and most of the time of the usual code), errors fall into ``bins`` equal bins. Inside
    a bin foreground and background may enter in either order; the mean of both orders is taken, once for the
    foreground and once for the background elements of the bin. With 1024 bins and 262144 elements in 19 classes the
    loss differs from the sorted one by 2e-6, the gradient by less than 2e-3 (relative, L2).

    Args:
        pred: logits (N, C, *spatial), or (P, C), which is one image of P points.
        target: class indices (N, *spatial) or (P,).
        bins: >= 2. The error of the weights shrinks with 1 / bins.
        per: the elements of the whole 'batch' together (default), or per 'image', then mean.
        skip_absent: leave out classes without a labelled element (the 'present' of the original code). Otherwise an
            absent class costs its largest probability.
        include_background: ``False`` leaves out class 0.
        use_sigmoid: p = sigma(z), one binary problem per class.
        class_weight: (C,) weights of the classes in the mean.
        ignore_index: label value of elements that count nothing (exactly zero gradient).
        weight: (N, *spatial) or (P,) >= 0, the mass of each element in F, B and G.
        avg_factor: divides the sum over the classes taken (and images) instead of their weight.
        reduction: 'mean', 'sum', or 'none': (C,) for 'batch', (N, C) for 'image', 0 where a class is left out.

    Returns:
        float32. 0 with a graph when no class is taken (everything ignored). The gradient is that of the Lovász
        extension: the order of the errors is constant where it is differentiable.

    Source: Berman, Rannen Triki & Blaschko, The Lovász-softmax loss, CVPR 2018; the bins are ours.
    """
    owner = 'binned_lovasz_loss'
    check_choice('per', per, OVERLAP_GROUPS, owner=owner)
    check_integer('bins', bins, low=2, owner=owner)
    safe, valid = split_ignored(pred, target, ignore_index, owner=owner)
    logits = full_precision(pred)
    probability = logits.sigmoid() if use_sigmoid else logits.softmax(1)
    mass = None if weight is None else (valid * weight.to(logits.dtype)).reshape(valid.shape)
    if pred.ndim == 2:
        probability, safe, valid = probability.t().unsqueeze(0), safe.unsqueeze(0), valid.unsqueeze(0)
        mass = None if mass is None else mass.unsqueeze(0)
    mass = None if mass is None else mass.flatten(1)
    loss, labelled = _BinnedLovasz.apply(
        probability.flatten(2), safe.flatten(1), valid.flatten(1), mass, bins, per == 'image'
    )
    return mean_over_classes(
        loss, labelled, skip_absent=skip_absent, include_background=include_background,
        class_weight=class_weight, avg_factor=avg_factor, reduction=reduction,
    )


class _BinnedLovasz(torch.autograd.Function):
    """Loss and labelled mass per class, (C,), or per image and class, (N, C); the derivative is made on the way.

    A *place* is row * bins + bin, a row being a class (of an image). Ignored elements go to one more place at the end,
    whose weight is zero.
    """

    @staticmethod
    def forward(
        ctx: Any, probability: Tensor, safe: Tensor, valid: Tensor, mass: Tensor | None, bins: int, per_image: bool
    ) -> tuple[Tensor, Tensor]:
        images, classes, _ = probability.shape
        first = torch.arange(images, device=safe.device).view(-1, 1) * (classes if per_image else 0)
        rows = images * classes if per_image else classes
        class_row = first.unsqueeze(1) + torch.arange(classes, device=safe.device).view(1, -1, 1)
        own = probability.gather(1, safe.unsqueeze(1)).squeeze(1)

        def place(error: Tensor, row: Tensor, known: Tensor) -> Tensor:
            index = (error * (bins - 1)).to(torch.int32).add_((row * bins).to(torch.int32))
            return index.masked_fill_(~known, rows * bins)

        as_background = place(probability, class_row, valid.unsqueeze(1))
        as_foreground = place(1 - own, first + safe, valid)
        label_as_background = as_background.gather(1, safe.unsqueeze(1)).squeeze(1)

        foreground = _histogram(as_foreground, mass, rows, bins)
        background = _histogram(as_background, None if mass is None else mass.unsqueeze(1), rows, bins)
        background -= _histogram(label_as_background, mass, rows, bins)
        foreground_weight, background_weight = (
            torch.cat([table.flatten(), table.new_zeros(1)]).to(probability.dtype)
            for table in _weights(foreground, background)
        )
        pull = foreground_weight[as_foreground]
        gradient = background_weight.index_select(0, as_background.flatten()).view_as(probability)
        if mass is not None:
            pull, gradient = pull * mass, gradient.mul_(mass.unsqueeze(1))
        gradient.scatter_(1, safe.unsqueeze(1), -pull.unsqueeze(1))
        # sum w e with e = p outside the label's column and 1 - p inside it
        with torch.autocast(probability.device.type, enabled=False):
            loss = torch.linalg.vecdot(gradient, probability).scatter_add_(1, safe, pull)
        labelled = foreground.sum(1).to(probability.dtype)
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(labelled)
        return (loss, labelled.view(images, classes)) if per_image else (loss.sum(0), labelled)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * (grad.unsqueeze(-1) if grad.ndim == 2 else grad.view(1, -1, 1)), None, None, None, None, None


def _histogram(place: Tensor, mass: Tensor | None, rows: int, bins: int) -> Tensor:
    """(rows, bins) float64: mass (or number) of the elements at each place; the place of the ignored is dropped."""
    counts = count_values(place, rows * bins + 1, None if mass is None else mass.expand(place.shape))[:-1]
    return counts.double().view(rows, bins)


def _weights(foreground: Tensor, background: Tensor) -> tuple[Tensor, Tensor]:
    """Weight of one foreground and of one background element in each bin, (rows, bins) float64; 0 in empty bins."""
    f, g = foreground.flip(1), background.flip(1)  # the largest errors enter first
    entered_f, entered_g, total = f.cumsum(1) - f, g.cumsum(1) - g, f.sum(1, keepdim=True)

    def jaccard(into_f: Tensor, into_g: Tensor) -> Tensor:
        union = total + into_g
        return torch.where(union > 0, 1 - (total - into_f) / union.clamp_min(1e-12), 0.0)

    before, with_f = jaccard(entered_f, entered_g), jaccard(entered_f + f, entered_g)
    with_g, after = jaccard(entered_f, entered_g + g), jaccard(entered_f + f, entered_g + g)
    share_f = torch.where(f > 0, ((with_f - before) + (after - with_g)) / (2 * f.clamp_min(1e-12)), 0.0)
    share_g = torch.where(g > 0, ((with_g - before) + (after - with_f)) / (2 * g.clamp_min(1e-12)), 0.0)
    return share_f.flip(1), share_g.flip(1)
