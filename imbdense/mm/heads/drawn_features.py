"""Box heads whose classifier also learns from features drawn from a memory of each class."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_integer
from imbdense.core.sampling import ClassFeatures


class DrawnFeaturesMixin:
    """Mixin in front of a box head of mmdet: every training step, features are drawn and classified with the regions.

    The inputs of ``fc_cls`` of the positive regions go into ``drawn_from``; then classes are drawn by
    :meth:`preference`, some features of each; ``fc_cls`` classifies them, and they enter the classification loss and
    its ``avg_factor`` as regions of weight 1. They have no graph, so only the classifier learns from them. Boxes,
    accuracy, masks and prediction are those of the host.

    With nothing to draw from, and while ``DeferredRebalanceHook`` holds the loss back (features are gathered then),
    the drawn rows weigh 0 and the losses are those of the host. The keys are always the same, also for a batch without
    regions. In eval mode, and for the single losses of hard example mining, the head is that of the host.

    Attributes:
        required_loss: class of ``loss_cls`` whose statistics :meth:`preference` needs.
        drawn_from: a :class:`~imbdense.core.sampling.ClassFeatures`; persistent buffers, in the checkpoint.
    """

    required_loss: ClassVar[type]
    drawn_from: ClassFeatures
    # of the host:
    training: bool
    num_classes: int
    fc_cls: nn.Module
    loss_cls: Any

    def draw_from(self, source: ClassFeatures, sampled_classes: int, sampled_features: int) -> None:
        """Set where features are kept, how many classes are drawn per step and how many features of each.

        Raises:
            TypeError: ``loss_cls`` is not the loss that this head belongs to.
        """
        owner = type(self).__name__
        if not isinstance(self.loss_cls, self.required_loss):
            raise TypeError(
                f'{owner} draws by the statistics of {self.required_loss.__name__}, but loss_cls is '
                f"{type(self.loss_cls).__name__}. Set loss_cls=dict(type='imbdense.{self.required_loss.__name__}')."
            )
        self.drawn_from = source
        self.sampled_classes = check_integer('sampled_classes', sampled_classes, low=1, owner=owner)
        self.sampled_features = check_integer('sampled_features', sampled_features, low=1, owner=owner)
        self._features: Tensor | None = None

    @abstractmethod
    def preference(self, stats: Any) -> Tensor:
        """(C,) >= 0: how often each class is to be drawn, from the statistics of the loss."""

    def forward(self, x: Any) -> Any:
        """Logits and boxes of the host's head; in train mode the input of the classifier is kept for the loss."""
        if not self.training:
            return super().forward(x)  # type: ignore[misc]
        # The hook lives for this call only: the classifier may be exchanged, the head copied.
        handle = self.fc_cls.register_forward_pre_hook(self._keep_features)
        try:
            return super().forward(x)  # type: ignore[misc]
        finally:
            handle.remove()

    def loss(
        self,
        cls_score: Tensor,
        bbox_pred: Tensor,
        rois: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Tensor,
        bbox_weights: Tensor,
        reduction_override: str | None = None,
    ) -> dict[str, Any]:
        """Losses of P regions and the drawn features; arguments as in the host's head."""
        host: Any = super()
        boxes = (bbox_targets, bbox_weights, reduction_override)
        if not self.training or reduction_override not in (None, 'mean'):
            return host.loss(cls_score, bbox_pred, rois, labels, label_weights, *boxes)
        logits, classes, weights = self._drawn(cls_score, labels, label_weights)
        losses = host.loss(
            torch.cat([cls_score, logits]), None, rois, torch.cat([labels, classes]),
            torch.cat([label_weights, weights]), *boxes,
        )
        losses.update(self.loss_cls.get_accuracy(cls_score, labels))
        losses.update(host.loss(None, bbox_pred, rois, labels, label_weights, *boxes))
        return losses

    def _drawn(self, cls_score: Tensor, labels: Tensor, label_weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Take the regions in, draw; return (logits, labels, weights) of the drawn features."""
        features, self._features = self._features, None
        if features is None or len(features) != len(labels):
            raise RuntimeError(
                f'{type(self).__name__}: the loss of {len(labels)} regions was asked for, but the last forward pass '
                f'saw {0 if features is None else len(features)}. Call forward and loss in turn.'
            )
        self.drawn_from.update(features, torch.where(label_weights > 0, labels, self.num_classes))
        stats = self.loss_cls.stats_for(self.num_classes, cls_score)
        drawn = self.drawn_from.draw(self.preference(stats), self.sampled_classes, self.sampled_features)
        used = drawn.known if self.loss_cls.rebalancing else torch.zeros_like(drawn.known)
        # Background of weight 0 counts nothing in any loss and in no statistic.
        return (
            self.fc_cls(drawn.features).to(cls_score.dtype),
            torch.where(used, drawn.labels, self.num_classes),
            used.to(label_weights.dtype),
        )

    def _keep_features(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._features = inputs[0].detach()
