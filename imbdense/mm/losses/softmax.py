"""Counted losses that have a softmax form only: the order of their steps, and what they are while deferred."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from imbdense.core.losses import shifted_cross_entropy
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.counted import CountedLoss


@loss_arguments
class SoftmaxLoss(CountedLoss):
    """Base of the losses that use class counts in a softmax in another way than by a shift.

    Counts, then elements of removed classes ignored, then :meth:`corrected`. While rebalancing is deferred: plain
    cross-entropy, and the running counts go on.

    Args:
        use_sigmoid: must stay ``False``; it is there because the hosts' default configs write it.
        others: see :class:`CountedLoss`.
    """

    use_sigmoid: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.use_sigmoid:
            raise ValueError(
                f'{type(self).__name__} has no sigmoid form. For heads with one sigmoid per class use '
                f'imbdense.SigmoidFocalCBLoss, imbdense.LogitAdjustLoss or imbdense.ReweightedCELoss.'
            )

    @abstractmethod
    def corrected(self, pred: Tensor, target: Tensor, counts: Tensor, call: LossCall) -> Tensor:
        """The loss with these (C,) counts."""

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Count, ignore what was taken out, compute."""
        counts = self.counts_for(pred, target, call)
        counts = torch.where(counts.sum() > 0, counts, 1.0)  # a first batch without a label has counted nothing
        return self.corrected(pred, self.drop_removed(target, counts, call.ignore_index), counts, call)

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Cross-entropy; running counts go on."""
        self.counts_for(pred, target, call)
        return shifted_cross_entropy(
            pred, target, class_weight=self.with_fixed(None, pred), owner=type(self).__name__, **call.options
        )
