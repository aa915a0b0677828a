"""``imbdense.BalSCLHead``."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from mmengine.registry import MODELS as HOST_MODELS
from torch import Tensor

from imbdense.core.losses import shifted_cross_entropy
from imbdense.mm.heads.sampled_feature_head import SampledFeatureHead
from imbdense.registry import MODELS


@MODELS.register_module()
class BalSCLHead(SampledFeatureHead):
    """Auxiliary head with the balanced supervised contrastive loss on pixels drawn class by class.

    Prototypes are the projected weights of the head's classifier, as in the paper; the classifier learns by
    cross-entropy on the same pixels, which are drawn nearly class-balanced. See :class:`SampledFeatureHead` for the
    draw and :class:`imbdense.mm.losses.bal_scl.BalSCLLoss` for the loss.

    Args:
        loss_contrast: config of the loss.
        classifier_weight: factor of the classifier's cross-entropy.
        others: see :class:`SampledFeatureHead`.
    """

    card = 'contrastive'
    tasks = ('segmentation',)

    def __init__(
        self,
        in_channels: int = 256,
        num_classes: int = 2,
        channels: int = 128,
        in_index: int = -1,
        loss_contrast: dict[str, Any] | None = None,
        classifier_weight: float = 1.0,
        per_class: int = 64,
        most: int = 2048,
        ignore_index: int = 255,
    ) -> None:
        super().__init__(in_channels, channels, num_classes, in_index, per_class, most, ignore_index)
        default = {'type': 'imbdense.BalSCLLoss'}
        self.loss_contrast = HOST_MODELS.build(default if loss_contrast is None else dict(loss_contrast))
        self.classifier_weight = float(classifier_weight)

    def losses(self, features: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The contrastive term and the classifier's cross-entropy."""
        prototypes = F.normalize(self.projection(self.classifier.weight), dim=1)
        contrast = self.loss_contrast(self.embed(features), labels, prototypes)
        classify = shifted_cross_entropy(self.classifier(features), labels, ignore_index=-1)
        return {
            self.loss_contrast.loss_name: contrast,
            f'{self.loss_contrast.loss_name}_ce': self.classifier_weight * classify,
        }
