"""Losses that gather statistics of the classifier itself while training."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor, nn

from imbdense.mm.losses.base import DenseLoss, loss_arguments
from imbdense.mm.losses.scores import DetectionScores


@loss_arguments
class GatheringLoss(DenseLoss, DetectionScores):
    """Base of the losses with statistics of their own, made when the number of classes is known.

    That is when a box head asks for its channels, else at the first step, else when a checkpoint holds some. The
    statistics are persistent buffers under ``stats.``, equal on all ranks, restored on resume, frozen in eval mode.
    They are not class counts, so nothing is declared to the :class:`~imbdense.core.stats.PriorLedger`.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.stats: nn.Module | None = None

    @abstractmethod
    def make_stats(self, classes: int) -> nn.Module:
        """The statistics of C classes in their initial state."""

    def stats_for(self, classes: int, pred: Tensor) -> Any:
        """The statistics on the device of ``pred``; made at the first call."""
        if self.stats is None:
            self.stats = self.make_stats(classes).to(pred.device)
            self.stats.train(self.training)
        return self.stats

    def get_cls_channels(self, num_classes: int) -> int:
        """Number of logits per box for C classes; from here on their number is known."""
        if self.stats is None:
            self.stats = self.make_stats(num_classes)
        return super().get_cls_channels(num_classes)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *arguments: Any) -> None:
        """Make the statistics when the checkpoint holds some."""
        stored = [value for key, value in state_dict.items() if key.startswith(f'{prefix}stats.')]
        if stored and self.stats is None:
            self.stats = self.make_stats(stored[0].shape[0])
            self.stats.train(self.training)
        super()._load_from_state_dict(state_dict, prefix, *arguments)
