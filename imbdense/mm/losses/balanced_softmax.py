"""``imbdense.BalancedSoftmaxLoss``."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from imbdense.mm.class_counts import ClassCountsSource
from imbdense.mm.losses.logit_adjust import LogitAdjustLoss
from imbdense.registry import MODELS


@MODELS.register_module()
class BalancedSoftmaxLoss(LogitAdjustLoss):
    """Cross-entropy of the count-weighted softmax; the parameter-free choice for rare classes.

    ``loss = mean_i -log( n_y e^{z_y} / sum_c n_c e^{z_c} )``, which is :class:`LogitAdjustLoss` with tau = 1. See
    there and :class:`CountedLoss`.

    Args:
        others: see :class:`LogitAdjustLoss`.
    """

    card = 'balanced_softmax'

    def __init__(
        self,
        center: bool = True,
        class_counts: ClassCountsSource | None = None,
        count: str | None = None,
        empty_class: str = 'one',
        background: bool | None = None,
        force: bool = False,
        use_sigmoid: bool = False,
        focal_gamma: float = 0.0,
        focal_alpha: float | None = None,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_ce_balanced',
        reduction: str = 'mean',
        normalizer: str = 'weight_sum',
        ignore_index: int | None = None,
        class_weight: Sequence[float] | Tensor | None = None,
    ) -> None:
        super().__init__(
            1.0, center, class_counts, count, empty_class, background, force, use_sigmoid, focal_gamma, focal_alpha,
            loss_weight, loss_name, reduction, normalizer, ignore_index, class_weight,
        )
