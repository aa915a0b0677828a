"""One Dice per class, ignored elements left out, absent classes left out."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, split_ignored
from imbdense.core.reduction import REDUCTIONS, full_precision

DICE_GROUPS: tuple[str, ...] = ('batch', 'image')


def per_class_dice_loss(
    pred: Tensor,
    target: Tensor,
    *,
    per: str = 'batch',
    skip_absent: bool = True,
    include_background: bool = True,
    squared: bool = False,
    smooth: float = 1e-3,
    use_sigmoid: bool = False,
    class_weight: Tensor | None = None,
    ignore_index: int = 255,
    weight: Tensor | None = None,
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Mean over classes of 1 - Dice_c, with p = softmax(z), y the one-hot label and v the validity::

        Dice_c = (2 sum_i v_i p_ic y_ic + smooth) / (sum_i v_i p_ic^q + sum_i v_i y_ic + smooth),   q = 1 (2: squared)
        loss   = sum_c w_c (1 - Dice_c) / sum_c w_c                                                over classes taken

    Unlike a Dice pooled over classes and pixels (mmseg's DiceLoss), a class of 0.1 % of the pixels weighs as much as
    the background: predicting background only costs about 1/2 with two classes, not 0.001.

    Args:
        pred: logits (N, C, *spatial), or (P, C), which is one image of P points.
        target: class indices (N, *spatial) or (P,).
        per: sums run over the whole 'batch' (default; steadier for rare classes), or per 'image', then mean.
        skip_absent: leave out classes without a valid element in ``target`` (per image when ``per='image'``). With
            ``False`` an absent class has Dice smooth / (sum p + smooth): any probability given to it is punished.
        include_background: ``False`` leaves out class 0.
        squared: squares in the denominator (V-Net).
        smooth: > 0, keeps the ratio defined.
        use_sigmoid: p = sigma(z).
        class_weight: (C,) weights of the classes in the mean.
        ignore_index: label value of elements that count nothing (exactly zero gradient).
        weight: (N, *spatial) or (P,), the mass of each element in the three sums.
        avg_factor: divides the sum over the classes taken (and images) instead of their weight.
        reduction: 'mean', 'sum', or 'none': w_c (1 - Dice_c) as (C,) for 'batch', (N, C) for 'image', 0 if not taken.

    Returns:
        float32. 0 with a graph when no class is taken (everything ignored).

    Source: Milletari et al., V-Net, 3DV 2016; Sudre et al., Generalised Dice, DLMIA 2017 (per class).
    """
    check_choice('per', per, DICE_GROUPS, owner='per_class_dice_loss')
    check_choice('reduction', reduction, REDUCTIONS, owner='per_class_dice_loss')
    safe, valid = split_ignored(pred, target, ignore_index, owner='per_class_dice_loss')
    logits = full_precision(pred)
    probability = logits.sigmoid() if use_sigmoid else logits.softmax(1)
    mass = valid.to(logits.dtype) if weight is None else valid * weight.to(logits.dtype)
    if pred.ndim == 2:  # points: one image
        probability, safe, mass = probability.t().unsqueeze(0), safe.unsqueeze(0), mass.unsqueeze(0)
    overlap, predicted, labelled = _class_sums(probability.flatten(2), safe.flatten(1), mass.flatten(1), squared)
    if per == 'batch':
        overlap, predicted, labelled = (value.sum(0) for value in (overlap, predicted, labelled))
    dice = (2 * overlap + smooth) / (predicted + labelled + smooth)
    taken = _taken_weight(labelled, class_weight, skip_absent, include_background)
    loss = taken * (1 - dice)
    if reduction == 'none':
        return loss
    if avg_factor is not None:
        if reduction == 'sum':
            raise ValueError("avg_factor can not be used with reduction='sum'; use 'mean' or leave avg_factor out.")
        return loss.sum() / torch.as_tensor(avg_factor, dtype=loss.dtype, device=loss.device).clamp_min(1e-12)
    if reduction == 'sum':
        return loss.sum()
    means = loss.sum(-1) / taken.sum(-1).clamp_min(1e-12)
    return means.sum() / (taken.sum(-1) > 0).sum().clamp_min(1) if per == 'image' else means


def _class_sums(probability: Tensor, safe: Tensor, mass: Tensor, squared: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Overlap, predicted and labelled mass per image and class, (N, C) each, without a one-hot tensor."""
    own = probability.gather(1, safe.unsqueeze(1)).squeeze(1) * mass
    zeros = probability.new_zeros(probability.shape[:2])
    overlap = zeros.scatter_add(1, safe, own)
    labelled = zeros.scatter_add(1, safe, mass)
    powered = probability.square() if squared else probability
    predicted = torch.bmm(powered, mass.unsqueeze(2)).squeeze(2)
    return overlap, predicted, labelled


def _taken_weight(
    labelled: Tensor, class_weight: Tensor | None, skip_absent: bool, include_background: bool
) -> Tensor:
    """The weight of each class in the mean: 0 when it is left out. An image without any valid element takes none."""
    counted = labelled > 0
    taken = counted if skip_absent else counted.any(-1, keepdim=True).expand_as(counted)
    result = taken.to(labelled.dtype)
    if class_weight is not None:
        result = result * class_weight.to(labelled)
    if not include_background:
        keep = torch.ones_like(result)
        keep[..., 0] = 0
        result = result * keep
    return result
