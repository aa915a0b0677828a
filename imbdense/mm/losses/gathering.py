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

    @property
    def stats(self) -> Any:
        """The statistics; ``None`` before the number of classes is known."""
        return self.late('stats')

    @abstractmethod
    def make_stats(self, classes: int) -> nn.Module:
        """The statistics of C classes in their initial state."""

    def stats_for(self, classes: int, pred: Tensor) -> Any:
        """The statistics on the device of ``pred``; made at the first call."""
        stats = self.late_on('stats', pred.device)
        return stats if stats is not None else self.keep_late('stats', self.make_stats(classes).to(pred.device))

    def get_cls_channels(self, num_classes: int) -> int:
        """Number of logits per box for C classes; from here on their number is known."""
        if self.stats is None:
            self.keep_late('stats', self.make_stats(num_classes))
        return super().get_cls_channels(num_classes)

    def make_late(self, name: str, state: dict[str, Tensor]) -> nn.Module:
        """Statistics of the size in the checkpoint."""
        return self.make_stats(next(iter(state.values())).shape[0])

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *arguments: Any) -> None:
        self.restore_late('stats', state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *arguments)
