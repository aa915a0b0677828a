"""``imbdense.LOCEBBoxHead``."""

from __future__ import annotations

from typing import Any

from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
from torch import Tensor

from imbdense.core.sampling import FeatureQueue
from imbdense.mm.heads.drawn_features import DrawnFeaturesMixin
from imbdense.mm.host_arguments import extends
from imbdense.mm.losses.equilibrium_loss import EBLLoss
from imbdense.registry import MODELS


@MODELS.register_module()
@extends(Shared2FCBBoxHead, 'set_queue', loss_cls={'type': 'imbdense.EBLLoss'})
class LOCEBBoxHead(DrawnFeaturesMixin, Shared2FCBBoxHead):
    """Box head of Faster, Mask and Cascade R-CNN with a memory of features (LOCE): weak classes are seen more often.

    Two fully connected layers, then C + 1 classes and boxes. The outputs of the second layer of the positive regions
    enter a queue per class. Each step draws ``sampled_classes`` classes with replacement, class j with probability
    proportional to 1 / (s_j + 1e-7), s = mean scores of :class:`EBLLoss`, and ``sampled_features`` features of each;
    see :class:`DrawnFeaturesMixin` for what happens to them. A class whose queue is empty is not drawn.

    State: the queue (:class:`imbdense.core.sampling.FeatureQueue`), in the checkpoint; each rank has its own, and all
    resume with that of rank 0.

    Args:
        queue_size: features kept of each class.
        sampled_classes, sampled_features: draws per step.
        others: of the host's Shared2FCBBoxHead; ``loss_cls`` must be ``imbdense.EBLLoss``.

    Source: Feng et al., Exploring Classification Equilibrium in Long-Tailed Object Detection (LOCE), ICCV 2021.
    """

    card = 'equilibrium_loss'
    tasks = ('detection',)
    required_loss = EBLLoss

    def set_queue(self, queue_size: int = 80, sampled_classes: int = 8, sampled_features: int = 4) -> None:
        """Make the empty queue."""
        queue = FeatureQueue(self.num_classes, self.cls_last_dim, queue_size)
        self.draw_from(queue, sampled_classes, sampled_features)

    def preference(self, stats: Any) -> Tensor:
        """(C,) inverse mean scores."""
        return 1.0 / (stats.mean + 1e-7)
