"""Cross-entropy whose terms are weighted by class."""

from __future__ import annotations

from torch import Tensor

from imbdense.core.losses.cross_entropy import shifted_cross_entropy
from imbdense.core.losses.sigmoid import shifted_sigmoid_loss


def reweighted_ce_loss(
    pred: Tensor,
    target: Tensor,
    class_weight: Tensor,
    *,
    use_sigmoid: bool = False,
    focal_gamma: float = 0.0,
    focal_alpha: float | None = None,
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Cross-entropy weighted by class: loss = sum_i w_{y_i} * CE_i / sum_i w_{y_i}.

    The weights come from :func:`imbdense.core.stats.class_weights`; with ``normalizer='weight_sum'`` only their ratios
    matter, so the learning rate need not be changed.

    Args:
        pred: logits (N, C, *spatial) or (P, C).
        target: class indices (N, *spatial) or (P,), or probabilities of the shape of ``pred``.
        class_weight: (C,) one weight per channel, >= 0.
        use_sigmoid: one binary cross-entropy per class; the weights act on positives, the target C is background.
        focal_gamma, focal_alpha: focusing of the sigmoid form.
        ignore_index, weight, normalizer, avg_factor, reduction: see :mod:`imbdense.core.losses`.

    Source: King and Zeng 2001; the schemes of :func:`~imbdense.core.stats.class_weights` name theirs.
    """
    if class_weight.ndim != 1 or class_weight.numel() != pred.shape[1]:
        raise ValueError(
            f'reweighted_ce_loss: class_weight must have shape ({pred.shape[1]},), one per channel of the logits, '
            f'but has {tuple(class_weight.shape)}.'
        )
    if use_sigmoid:
        return shifted_sigmoid_loss(
            pred, target, class_weight=class_weight, focal_gamma=focal_gamma, focal_alpha=focal_alpha,
            ignore_index=ignore_index, weight=weight, normalizer=normalizer, avg_factor=avg_factor,
            reduction=reduction, owner='reweighted_ce_loss',
        )
    return shifted_cross_entropy(
        pred, target, class_weight=class_weight, ignore_index=ignore_index, weight=weight, normalizer=normalizer,
        avg_factor=avg_factor, reduction=reduction, owner='reweighted_ce_loss',
    )
