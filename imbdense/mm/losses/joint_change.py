"""What losses over change *and* land cover share: the protocol by which ``SemanticChangeDetector`` calls them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_integer, check_number


@dataclass(frozen=True)
class ChangeCall:
    """What a joint loss sees of a batch.

    Attributes:
        change_logits: (N, 2, H, W).
        semantic_logits: one (N, S, H, W) per date; with ``unchanged_channel`` (N, S + 1, H, W), channel 0 = unchanged.
        change: (N, H, W), 0, 1 or ``ignore_index``.
        semantics: one (N, H, W) per date, 0 ... S - 1 or ``ignore_index``.
        unchanged_channel: see above.
        ignore_index: in all labels.
    """

    change_logits: Tensor
    semantic_logits: Sequence[Tensor]
    change: Tensor
    semantics: Sequence[Tensor]
    unchanged_channel: bool = False
    ignore_index: int = 255

    @property
    def land_logits(self) -> list[Tensor]:
        """The S land-cover channels of each date."""
        return [logits[:, 1:] if self.unchanged_channel else logits for logits in self.semantic_logits]


class JointChangeLoss(nn.Module, ABC):
    """Base of the losses that take the logits of change and of land cover together.

    Called as ``loss(ChangeCall(...))`` once per batch. A subclass writes :meth:`compute`.

    State: ``iteration`` (int64 buffer, kept in checkpoints) counts the calls in training.

    Args:
        loss_weight: factor, >= 0.
        loss_name: key in the loss dict; must hold 'loss'.
        start_iter: calls in training before which the loss is an exact 0 (with a graph).
        ignore_index: in all labels.
    """

    card = ''
    tasks: tuple[str, ...] = ('change_detection',)
    iteration: Tensor

    def __init__(
        self, loss_weight: float = 1.0, loss_name: str = 'loss_joint', start_iter: int = 0, ignore_index: int = 255
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.loss_weight = check_number('loss_weight', loss_weight, low=0.0, owner=owner)
        if 'loss' not in loss_name:
            raise ValueError(f"{owner}: loss_name must contain 'loss', or mmengine does not train it: {loss_name!r}.")
        self.loss_name = loss_name
        self.start_iter = check_integer('start_iter', start_iter, low=0, owner=owner)
        self.ignore_index = check_integer('ignore_index', ignore_index, owner=owner)
        self.register_buffer('iteration', torch.zeros((), dtype=torch.int64))

    def forward(self, call: ChangeCall) -> Tensor:
        """Scalar, float32."""
        loss = self.loss_weight * self.compute(call)
        if self.training and self.start_iter:
            loss = torch.where(self.iteration >= self.start_iter, loss, torch.nan_to_num(loss) * 0)
            self.iteration += 1
        return loss

    @abstractmethod
    def compute(self, call: ChangeCall) -> Tensor:
        """The loss itself, without ``loss_weight``."""
