"""One Dice per class, ignored elements left out, absent classes left out."""

from __future__ import annotations

from torch import Tensor

from imbdense.core.losses.class_overlap import class_overlap, mean_over_classes


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
    sums = class_overlap(
        pred, target, per=per, use_sigmoid=use_sigmoid, squared=squared, ignore_index=ignore_index, weight=weight,
        owner='per_class_dice_loss',
    )
    dice = (2 * sums.overlap + smooth) / (sums.predicted + sums.labelled + smooth)
    return mean_over_classes(
        1 - dice, sums.labelled, skip_absent=skip_absent, include_background=include_background,
        class_weight=class_weight, avg_factor=avg_factor, reduction=reduction,
    )
