"""``imbdense.BACLBBoxHead``."""

from __future__ import annotations

from typing import Any

from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
from torch import Tensor

from imbdense.core.sampling import FeatureGaussians
from imbdense.mm.heads.drawn_features import DrawnFeaturesMixin
from imbdense.mm.host_arguments import extends
from imbdense.mm.losses.bacl import ForegroundClassBalanceLoss
from imbdense.registry import MODELS


@MODELS.register_module()
@extends(Shared2FCBBoxHead, 'set_gaussians', loss_cls={'type': 'imbdense.ForegroundClassBalanceLoss'})
class BACLBBoxHead(DrawnFeaturesMixin, Shared2FCBBoxHead):
    """Box head of Faster, Mask and Cascade R-CNN with feature hallucination (BACL): new samples of mistaken classes.

    Two fully connected layers, then C classes, objectness and boxes. Mean and variance of the outputs of the second
    layer are kept per class. Each step draws ``sampled_classes`` classes with replacement, class c with probability
    proportional to 1 - cm_cc (cm = confusion of :class:`ForegroundClassBalanceLoss`: its diagonal is the mean softmax
    score of the right class), and makes ``sampled_features`` features of each from its Gaussian; see
    :class:`DrawnFeaturesMixin` for what happens to them. A class without a Gaussian is not drawn.

    State: the Gaussians (:class:`imbdense.core.sampling.FeatureGaussians`), in the checkpoint, equal on all ranks.

    Args:
        momentum: of the Gaussians.
        sampled_classes, sampled_features: draws per step.
        others: of the host's Shared2FCBBoxHead; ``loss_cls`` must be ``imbdense.ForegroundClassBalanceLoss``.

    Source: Qi et al., Balanced Classification: A Unified Framework for Long-Tailed Object Detection, TMM 2023.
    """

    card = 'bacl'
    tasks = ('detection',)
    required_loss = ForegroundClassBalanceLoss

    def set_gaussians(self, momentum: float = 0.9, sampled_classes: int = 8, sampled_features: int = 12) -> None:
        """Make the Gaussians."""
        gaussians = FeatureGaussians(self.num_classes, self.cls_last_dim, momentum)
        self.draw_from(gaussians, sampled_classes, sampled_features)

    def preference(self, stats: Any) -> Tensor:
        """(C,) mean score that goes to wrong classes."""
        return (1.0 - stats.confusion().diagonal()).clamp_min(0)
