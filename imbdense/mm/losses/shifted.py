"""Losses that are a cross-entropy with a shift of the logits and a weight per class, both made from counts."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.losses import shifted_cross_entropy, shifted_sigmoid_loss
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.counted import CountedLoss

Terms = tuple[Tensor | None, Tensor | None]
"""(shift, class weights), each (channels,) or ``None``."""


@loss_arguments
class ShiftedLoss(CountedLoss):
    """Base of the losses that only shift logits and weight classes; with a sigmoid and a focal form.

    Args:
        use_sigmoid: one sigmoid per class (dense heads; they must have it in their ``loss_cls`` config).
        focal_gamma, focal_alpha: focusing of the sigmoid form; FocalLoss has 2.0 and 0.25.
        others: see :class:`CountedLoss`.
    """

    use_sigmoid: bool = False
    focal_gamma: float = 0.0
    focal_alpha: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        self.focal_gamma = check_number('focal_gamma', self.focal_gamma, low=0.0, owner=owner)
        if self.focal_alpha is not None:
            self.focal_alpha = check_number('focal_alpha', self.focal_alpha, low=0.0, high=1.0, owner=owner)
        if not self.use_sigmoid and (self.focal_gamma != 0 or self.focal_alpha is not None):
            raise ValueError(f'{owner}: focal_gamma and focal_alpha belong to the sigmoid form; set use_sigmoid=True.')

    @abstractmethod
    def terms(self, counts: Tensor, channels: int) -> Terms:
        """Return shift and class weights for logits of ``channels`` channels."""

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Cross-entropy with the terms of the counts."""
        counts = self.counts_for(pred, target, call)
        target = self.drop_removed(target, counts, call.ignore_index)
        return self._engine(pred, target, self._terms_for(pred, counts), call)

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """The same without shift and counted weights; running counts go on."""
        self.counts_for(pred, target, call)
        return self._engine(pred, target, (None, self.with_fixed(None, pred)), call)

    def _engine(self, pred: Tensor, target: Tensor, terms: Terms, call: LossCall) -> Tensor:
        shift, class_weight = terms
        owner = type(self).__name__
        if self.use_sigmoid:
            return shifted_sigmoid_loss(
                pred, target, shift=shift, class_weight=class_weight, focal_gamma=self.focal_gamma,
                focal_alpha=self.focal_alpha, owner=owner, **call.options,
            )
        return shifted_cross_entropy(
            pred, target, shift=shift, class_weight=class_weight, owner=owner, **call.options
        )

    def _terms_for(self, pred: Tensor, counts: Tensor) -> Terms:
        """The terms on the device of ``pred``; made once per layout while the counts are fixed."""
        key = ('terms', pred.shape[1], pred.device)
        if key in self._cache:
            return self._cache[key]
        shift, weights = self.terms(counts, pred.shape[1])
        terms = shift, self.with_fixed(weights, pred)
        if self.known_counts() is not None:
            self._cache[key] = terms
        return terms
