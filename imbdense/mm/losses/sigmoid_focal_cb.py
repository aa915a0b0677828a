"""``imbdense.SigmoidFocalCBLoss``."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.losses import foreground_weights, shifted_sigmoid_loss, sigmoid_focal_cb_loss
from imbdense.core.losses.prior_shift import REMOVED
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.weighted import WeightedLoss
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class SigmoidFocalCBLoss(WeightedLoss):
    """Class-balanced focal loss of heads with one sigmoid per class.

    ``loss = 1/M sum_i w_{y_i} sum_k BCE_ik * (1 - pt_ik)^focal_gamma`` with w the weight of the *element's* class by
    effective number; see :func:`imbdense.core.losses.sigmoid_focal_cb_loss` for shapes and edge cases,
    :class:`CountedLoss` for where the counts come from. (``ReweightedCELoss(use_sigmoid=True)`` weights the positive
    term alone.) In detection heads, where label C is background, the weights have mean one over the objects and the
    background weighs 1. While deferred: focal loss without counted weights.

    Ledger: log w_c, exact between two classes.

    Args:
        focal_gamma: focusing >= 0.
        scheme, gamma, beta: class weights, see :class:`WeightedLoss`.
        background: whether label C (all columns negative) occurs; ``None`` = yes for (P, C) logits of a head that
            passes no ``ignore_index`` (detection).
        normalizer: 'valid' (the reference) or 'weight_sum' or 'all'.
        use_sigmoid: must stay ``True``; dense heads want it written in their ``loss_cls``.
        others: see :class:`CountedLoss`.
    """

    focal_gamma: float = 2.0
    scheme: str | None = 'effective'
    normalizer: str = 'valid'
    use_sigmoid: bool = True
    loss_name: str = 'loss_focal_cb'

    card = 'softmax_focal'
    tasks = ('segmentation', 'detection', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = 'SigmoidFocalCBLoss'
        self.focal_gamma = check_number('focal_gamma', self.focal_gamma, low=0.0, owner=owner)
        if not self.use_sigmoid:
            raise ValueError(f'{owner} has one sigmoid per class. For a softmax use imbdense.SoftmaxFocalLoss.')

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Focal loss with the weights of the scheme."""
        counts = self.counts_for(pred, target, call)
        target = self.drop_removed(target, counts, call.ignore_index)
        shift = torch.where(counts == 0, REMOVED, 0.0) if self.empty_class == 'mask' else None
        return sigmoid_focal_cb_loss(
            pred, target, self._element_weights(pred, counts, call), focal_gamma=self.focal_gamma, shift=shift,
            channel_weight=self.with_fixed(None, pred), **call.options,
        )

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Focal loss without counted weights."""
        self.counts_for(pred, target, call)
        return shifted_sigmoid_loss(
            pred, target, class_weight=self.with_fixed(None, pred), focal_gamma=self.focal_gamma,
            owner='SigmoidFocalCBLoss', **call.options,
        )

    def _element_weights(self, pred: Tensor, counts: Tensor, call: LossCall) -> Tensor:
        """(C,) weights; of mean one over the objects where a background weighs 1 beside them."""
        with_background = call.from_detection_head if self.background is None else self.background
        weights = self.scheme_weights(counts)
        return foreground_weights(
            weights, counts, pred.shape[1], use_sigmoid=with_background, owner='SigmoidFocalCBLoss'
        )
