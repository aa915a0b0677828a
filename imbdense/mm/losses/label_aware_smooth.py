"""``imbdense.LabelAwareSmoothLoss``."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.losses import label_aware_smooth_loss
from imbdense.core.losses.label_aware_smooth import smoothing_factors
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.softmax import SoftmaxLoss
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class LabelAwareSmoothLoss(SoftmaxLoss):
    """Cross-entropy with label smoothing that is strong for frequent and weak for rare classes.

    ``loss = mean_i (1 - eps_y) nll + eps_y mean_k(-log p_k)``; see
    :func:`imbdense.core.losses.label_aware_smooth_loss` for shapes and edge cases, :class:`CountedLoss` for where the
    counts come from and for the state. While deferred: cross-entropy without smoothing.

    Ledger: log(1 - eps_c), exact for any number of classes.

    Args:
        smooth_head, smooth_tail: smoothing of the most and of the least frequent class, in [0, 1).
        others: see :class:`SoftmaxLoss`.
    """

    smooth_head: float = 0.4
    smooth_tail: float = 0.1
    loss_name: str = 'loss_label_aware_smooth'

    card = 'label_aware_smooth'
    tasks = ('segmentation', 'detection', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ('smooth_head', 'smooth_tail'):
            value = check_number(name, getattr(self, name), low=0.0, high=1.0 - 1e-6, owner='LabelAwareSmoothLoss')
            setattr(self, name, value)

    def corrected(self, pred: Tensor, target: Tensor, counts: Tensor, call: LossCall) -> Tensor:
        """Cross-entropy against smoothed labels."""
        return label_aware_smooth_loss(
            pred, target, counts, smooth_head=self.smooth_head, smooth_tail=self.smooth_tail,
            class_weight=self.with_fixed(None, pred), empty_class=self.empty_class, **call.options,
        )

    def log_change(self, counts: Tensor) -> Tensor:
        """The smoothed target of class c is p_c (1 - eps_c) plus what all classes get alike."""
        return torch.log1p(-smoothing_factors(counts, self.smooth_head, self.smooth_tail))
