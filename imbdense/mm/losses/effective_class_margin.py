"""``imbdense.EffectiveClassMarginLoss``."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from imbdense.core.checks import check_channels, check_number
from imbdense.core.losses import effective_class_margin_loss, effective_class_margins, shifted_sigmoid_loss
from imbdense.core.stats import fill_empty_classes
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.counted import CountedLoss
from imbdense.mm.losses.scores import ObjectnessScores
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class EffectiveClassMarginLoss(CountedLoss, ObjectnessScores):
    """Binary cross-entropies with the margin and weight that each class's counts ask for.

    See :func:`imbdense.core.losses.effective_class_margin_loss` for formula, shapes and edge cases,
    :class:`ObjectnessScores` for the channels (box heads get an objectness channel), :class:`CountedLoss` for where
    the counts come from. While deferred it is plain binary cross-entropy of the same channels.

    State: with ``fg_bg_ratio='auto'`` in a detection head, or without known counts, the labels seen so far (classes
    and background), summed over the ranks in one message per call; a call uses the counts before it, the first its
    own.

    Args:
        fg_bg_ratio: background samples per object. 'auto' = measured in the labels this loss has seen, so it fits the
            sampler of the head (the paper measured 6.3313 once, for Mask R-CNN with 512 regions); a number >= 0 is
            kept. Segmentation has no background apart from its classes and ignores it.
        use_sigmoid: ``True`` in the config of a dense or query head: C channels, no objectness.
        others: see :class:`CountedLoss`.
    """

    fg_bg_ratio: float | Literal['auto'] = 'auto'
    use_sigmoid: bool = False
    loss_name: str = 'loss_ecm'

    card = 'effective_class_margin'
    tasks = ('segmentation', 'detection', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fg_bg_ratio != 'auto':
            self.fg_bg_ratio = check_number('fg_bg_ratio', self.fg_bg_ratio, low=0.0, owner='EffectiveClassMarginLoss')

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """The loss with the margins of the counts."""
        counts, background = self._samples(pred, target, call)
        target = self.drop_removed(target, counts, call.ignore_index)
        return effective_class_margin_loss(
            pred, target, counts, background=background, empty_class=self.empty_class,
            class_weight=self.fixed_weight, **call.options,
        )

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Neither margins nor weights; the statistics go on."""
        self._samples(pred, target, call)
        return shifted_sigmoid_loss(pred, target, class_weight=self.fixed_weight, **call.options)

    def start_logits(self, log_odds: Tensor, counts: Tensor, background: float) -> Tensor:
        """What is trained is sigma(2 z + shift), so z = (log odds - shift) / 2; while deferred it is sigma(z)."""
        if not self.rebalancing:
            return log_odds
        known = self.known_counts()
        own = counts if known is None else known.cpu().double()
        ratio = background / counts.sum() if self.fg_bg_ratio == 'auto' else self.fg_bg_ratio
        shift, _ = effective_class_margins(own, log_odds.numel(), ratio * own.sum())
        return (log_odds - shift) / 2

    def log_change(self, counts: Tensor) -> Tensor:
        """sigma(2 z + 1/4 log n) fits the labels, so z encodes n^(3/4) at half the scale: the prior loses n^(1/4)."""
        return -0.25 * fill_empty_classes(counts).log()

    def keeps_counting(self) -> bool:
        """Also with known counts where the background is measured."""
        return self.fg_bg_ratio == 'auto' or super().keeps_counting()

    def _samples(self, pred: Tensor, target: Tensor, call: LossCall) -> tuple[Tensor, Tensor]:
        """(C,) counts of the classes, and how much background belongs to them."""
        classes = self.object_classes(pred, call)
        detection = self.from_detector(call)
        known = self.known_counts()
        seen = None
        if known is None or (detection and self.fg_bg_ratio == 'auto'):
            seen = self.count_labels(target, classes + 1, call.ignore_index).double()
        counts = seen[:classes] if known is None else self.counts_for(pred, target, call)
        check_channels(pred[:, :classes], counts.numel(), owner='EffectiveClassMarginLoss')
        if not detection:
            return counts, counts.new_zeros(())
        if self.fg_bg_ratio != 'auto':
            return counts, float(self.fg_bg_ratio) * counts.sum()
        ratio = seen[classes].clamp_min(1.0) / seen[:classes].sum().clamp_min(1.0)
        return counts, ratio * counts.sum().clamp_min(1.0)
