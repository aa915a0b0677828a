"""``imbdense.BalancedSoftmaxLoss``."""

from __future__ import annotations

from dataclasses import field

from imbdense.mm.losses.base import loss_arguments
from imbdense.mm.losses.logit_adjust import LogitAdjustLoss
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class BalancedSoftmaxLoss(LogitAdjustLoss):
    """Cross-entropy of the count-weighted softmax; the parameter-free choice for rare classes.

    ``loss = mean_i -log( n_y e^{z_y} / sum_c n_c e^{z_c} )``, which is :class:`LogitAdjustLoss` with tau = 1. See
    there and :class:`CountedLoss`.

    Args:
        others: those of :class:`LogitAdjustLoss` but ``tau``.
    """

    tau: float = field(default=1.0, init=False)
    loss_name: str = 'loss_ce_balanced'

    card = 'balanced_softmax'
