"""Cross-entropy on logits shifted by the log prior: logit adjustment and its special case, balanced softmax."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from imbdense.core.checks import check_counts, check_number
from imbdense.core.losses.cross_entropy import shifted_cross_entropy
from imbdense.core.losses.prior_shift import prior_shift
from imbdense.core.losses.sigmoid import shifted_sigmoid_loss


def logit_adjust_loss(
    pred: Tensor,
    target: Tensor,
    class_counts: Tensor | Sequence[float],
    *,
    tau: float = 1.0,
    center: bool = True,
    empty_class: str = 'one',
    use_sigmoid: bool = False,
    focal_gamma: float = 0.0,
    focal_alpha: float | None = None,
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Cross-entropy of softmax(z + tau * log pi): the unshifted z then minimises the *balanced* error.

    Args:
        pred: logits (N, C, *spatial) or (P, C); with a background channel (N, C + 1, ...).
        target: class indices (N, *spatial) or (P,), or probabilities of the shape of ``pred``.
        class_counts: (C,) counts or prior of the samples the loss sees, >= 0; without the background.
        tau: strength >= 0; 0 = plain cross-entropy, 1 = the balanced optimum.
        center: for logits with background and for sigmoids, keep the decision object / background unmoved; see
            :func:`~imbdense.core.losses.prior_shift.prior_shift`.
        empty_class: 'one' or 'mask', what happens to a class with count 0.
        use_sigmoid: one binary cross-entropy per class; the target C is background.
        focal_gamma, focal_alpha: focusing of the sigmoid form.
        ignore_index, weight, normalizer, avg_factor, reduction: see :mod:`imbdense.core.losses`.

    Example (n = [100, 10], z = [0, 0], y = 1): pi = [.9091, .0909], loss = -log .0909 = 2.3979; plain CE is .6931.

    Source: Menon et al., Long-tail learning via logit adjustment, ICLR 2021. For counts of a data set convert once
    with :func:`prior_shift`; this function does so in every call.
    """
    check_number('tau', tau, low=0.0, owner='logit_adjust_loss')
    counts = check_counts(class_counts, owner='logit_adjust_loss').to(pred.device)
    shift = prior_shift(
        counts, pred.shape[1], tau=tau, center=center, use_sigmoid=use_sigmoid, empty_class=empty_class,
        owner='logit_adjust_loss',
    )
    if use_sigmoid:
        return shifted_sigmoid_loss(
            pred, target, shift=shift, focal_gamma=focal_gamma, focal_alpha=focal_alpha, ignore_index=ignore_index,
            weight=weight, normalizer=normalizer, avg_factor=avg_factor, reduction=reduction,
            owner='logit_adjust_loss',
        )
    return shifted_cross_entropy(
        pred, target, shift=shift, ignore_index=ignore_index, weight=weight, normalizer=normalizer,
        avg_factor=avg_factor, reduction=reduction, owner='logit_adjust_loss',
    )


def balanced_softmax_loss(
    pred: Tensor,
    target: Tensor,
    class_counts: Tensor | Sequence[float],
    *,
    center: bool = True,
    empty_class: str = 'one',
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Cross-entropy of n_y e^{z_y} / sum_c n_c e^{z_c}: :func:`logit_adjust_loss` with tau = 1, without a parameter.

    Source: Ren et al., Balanced Meta-Softmax for long-tailed visual recognition, NeurIPS 2020.
    """
    return logit_adjust_loss(
        pred, target, class_counts, tau=1.0, center=center, empty_class=empty_class, ignore_index=ignore_index,
        weight=weight, normalizer=normalizer, avg_factor=avg_factor, reduction=reduction,
    )
