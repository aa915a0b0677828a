"""One Tversky index per class: Dice with separate prices for false alarms and misses, and its focal form."""

from __future__ import annotations

from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.losses.class_overlap import class_overlap, mean_over_classes


def per_class_tversky_loss(
    pred: Tensor,
    target: Tensor,
    *,
    fp_weight: float = 0.3,
    fn_weight: float = 0.7,
    gamma: float = 1.0,
    per: str = 'batch',
    skip_absent: bool = True,
    include_background: bool = True,
    smooth: float = 1e-3,
    use_sigmoid: bool = False,
    class_weight: Tensor | None = None,
    ignore_index: int = 255,
    weight: Tensor | None = None,
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Mean over classes of (1 - TI_c) ** gamma, with p = softmax(z), y the one-hot label and v the validity::

        TP_c = sum_i v_i p_ic y_ic;  FP_c = sum_i v_i p_ic (1 - y_ic);  FN_c = sum_i v_i (1 - p_ic) y_ic
        TI_c = (TP_c + smooth) / (TP_c + fp_weight * FP_c + fn_weight * FN_c + smooth)

    fp_weight = fn_weight = 1/2 is Dice, 1 and 1 is the Jaccard index. A miss that costs more than a false alarm raises
    the recall of a rare class.

    Args:
        fp_weight, fn_weight: >= 0, named by what they weigh: papers disagree on which is alpha (Salehi: alpha = FP,
            beta = FN; Abraham & Khan: alpha = FN).
        gamma: > 0; 1 = Tversky loss. Below 1 (0.75) it is the focal Tversky loss as its code has it, which keeps the
            gradient of classes that are nearly right; the paper writes the same as 1 / gamma with gamma = 4 / 3. As
            the slope of x ** gamma is infinite at 0 then, 1 - TI_c is held at 1e-7 or more.
        others: see :func:`~imbdense.core.losses.per_class_dice.per_class_dice_loss`.

    Returns:
        float32. 0 with a graph when no class is taken (everything ignored).

    Example: p = (.8, .6, .2), y = (1, 0, 0), smooth 0, sigmoid: TP .8, FP .8, FN .2; fp .3, fn .7: 1 - .8 / 1.18 =
    .322034; with gamma .75: .427.

    Source: Salehi et al., Tversky loss, MLMI 2017; Abraham & Khan, focal Tversky, ISBI 2019.
    """
    owner = 'per_class_tversky_loss'
    check_number('fp_weight', fp_weight, low=0.0, owner=owner)
    check_number('fn_weight', fn_weight, low=0.0, owner=owner)
    check_number('gamma', gamma, low=0.0, low_open=True, owner=owner)
    sums = class_overlap(
        pred, target, per=per, use_sigmoid=use_sigmoid, ignore_index=ignore_index, weight=weight, owner=owner
    )
    false_alarms = sums.predicted - sums.overlap
    misses = sums.labelled - sums.overlap
    index = (sums.overlap + smooth) / (sums.overlap + fp_weight * false_alarms + fn_weight * misses + smooth)
    loss = 1 - index
    if gamma != 1:
        loss = loss.clamp_min(1e-7) ** gamma
    return mean_over_classes(
        loss, sums.labelled, skip_absent=skip_absent, include_background=include_background,
        class_weight=class_weight, avg_factor=avg_factor, reduction=reduction,
    )
