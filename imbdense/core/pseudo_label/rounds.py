"""Rules whose thresholds come from the confidences of a whole round of predictions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from imbdense.core.checks import check_integer, check_number
from imbdense.core.pseudo_label.confidence_histogram import ConfidenceHistogram
from imbdense.core.pseudo_label.host_step import HostStep
from imbdense.core.pseudo_label.labeler import Predictions, PseudoLabeler
from imbdense.core.pseudo_label.rank_threshold import with_fallback


class RoundThreshold(PseudoLabeler):
    """Base of the rules that keep the r_c most confident predictions of each class.

    During a round the confidences are counted, in train mode (pixels in ``forward``, items in :meth:`observe`). At
    its end the threshold of class c becomes the confidence at rank r_c (:meth:`ranks`). A class without a rank keeps
    its last threshold, not below .3.

    A round ends after ``round_steps`` steps, or when :meth:`end_round` is called (off-line self-training: predict the
    whole unlabelled set, end the round, then label it in eval mode). Until the first has ended every class has
    ``initial``.

    State (persistent): histogram (K, 4096) int64, thresholds (K,) float32, steps and rounds.

    Args:
        num_classes: K >= 1.
        round_steps: steps of a round, >= 1; ``None`` = only :meth:`end_round` ends one.
        initial: threshold of the first round, in [0, 1].
        negative, ignore_index: see :class:`PseudoLabeler`.
    """

    limits: Tensor

    def __init__(
        self,
        num_classes: int,
        round_steps: int | None = 500,
        initial: float = 0.9,
        negative: float | Sequence[float] | str | None = None,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(num_classes, negative, ignore_index)
        owner = type(self).__name__
        if round_steps is not None:
            check_integer('round_steps', round_steps, low=1, owner=owner)
        self.round_steps = round_steps
        start = check_number('initial', initial, low=0.0, high=1.0, owner=owner)
        self.histogram = ConfidenceHistogram(num_classes)
        self.steps, self.rounds = HostStep(), HostStep()
        self.register_buffer('limits', torch.full((num_classes,), start))

    @abstractmethod
    def ranks(self, predicted: Tensor) -> Tensor:
        """(K,) int64: how many of the (K,) ``predicted`` elements per class of this round to keep."""

    def thresholds(self) -> Tensor:
        """(K,) float32, from the last round."""
        return self.limits

    def update(self, seen: Predictions) -> None:
        """Count the confidences of a batch; ends the round after ``round_steps`` of them."""
        self.histogram.add(seen.confidence, seen.predicted, seen.valid)
        self._advance()

    @torch.no_grad()
    def observe(self, scores: Tensor, labels: Tensor) -> None:
        """Count the items (boxes, components, points) of one step of this rank, as ``forward`` does pixels.

        Args:
            scores: (M,) confidences; all of them, not only those that are accepted.
            labels: (M,) int64 classes.
        """
        if self.training:
            self.histogram.add(scores.float(), labels.long())
            self._advance()

    @torch.no_grad()
    def end_round(self) -> None:
        """Set the thresholds from what was counted since the last round, and begin the next."""
        ranks = self.ranks(self.histogram.totals())
        self.limits.copy_(self.clip(with_fallback(self.histogram.at_ranks(ranks), self.limits)))
        self.histogram.clear()
        self.rounds.advance()

    def _advance(self) -> None:
        """One more step; the round may be over."""
        if self.round_steps is not None and self.steps.advance() % self.round_steps == 0:
            self.end_round()

    def clip(self, limits: Tensor) -> Tensor:
        """The range thresholds are kept in; all of [0, 1] here."""
        return limits
