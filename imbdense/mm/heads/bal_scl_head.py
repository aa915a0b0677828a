"""``imbdense.BalSCLHead``."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from imbdense.core.losses import shifted_cross_entropy
from imbdense.mm.heads.sampled_feature_head import SampledFeatureHead, projection
from imbdense.registry import MODELS


@MODELS.register_module()
class BalSCLHead(SampledFeatureHead):
    """Auxiliary head with the balanced supervised contrastive loss on pixels drawn class by class.

    Prototypes are the weights of the head's classifier through a projection of their own, as released; the classifier
    learns by cross-entropy on the same pixels, which are drawn nearly class-balanced. See :class:`SampledFeatureHead`
    for the draw and :class:`imbdense.mm.losses.bal_scl.BalSCLLoss` for the loss.

    Args:
        others: see :class:`SampledFeatureHead`.
    """

    card = 'contrastive'
    tasks = ('segmentation',)
    default_loss = {'type': 'imbdense.BalSCLLoss'}

    def add_layers(self, in_channels: int, channels: int) -> None:
        """The projection of the prototypes."""
        self.prototype_projection = projection(in_channels, channels)

    def losses(self, features: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The contrastive term and the classifier's cross-entropy."""
        prototypes = F.normalize(self.prototype_projection(self.classifier.weight), dim=1)
        contrast = self.loss_contrast(self.embed(features), labels, prototypes)
        classify = shifted_cross_entropy(self.classifier(features), labels, ignore_index=-1)
        return {self.loss_contrast.loss_name: contrast, f'{self.loss_contrast.loss_name}_ce': classify}
