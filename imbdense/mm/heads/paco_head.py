"""``imbdense.PaCoHead``."""

from __future__ import annotations

from typing import Any

from mmengine.registry import MODELS as HOST_MODELS
from torch import Tensor

from imbdense.mm.heads.sampled_feature_head import SampledFeatureHead
from imbdense.registry import MODELS


@MODELS.register_module()
class PaCoHead(SampledFeatureHead):
    """Auxiliary head with the parametric contrastive loss (PaCo, GPaCo) on pixels drawn class by class.

    The drawn pixels are anchors and partners of each other; there is no queue. See :class:`SampledFeatureHead` for the
    draw and :class:`imbdense.mm.losses.paco.PaCoLoss` for the loss. Parameters: a two-layer projection and a linear
    classifier on the chosen feature map; neither is used at test time.

    Args:
        loss_contrast: config of the loss. The pixels are drawn nearly class-balanced, so the prior term is off by
            default and the smoothing is on (GPaCo).
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
        per_class: int = 64,
        most: int = 2048,
        ignore_index: int = 255,
    ) -> None:
        super().__init__(in_channels, channels, num_classes, in_index, per_class, most, ignore_index)
        default = {'type': 'imbdense.PaCoLoss', 'prior': False, 'smoothing': 0.1}
        self.loss_contrast = HOST_MODELS.build(default if loss_contrast is None else dict(loss_contrast))

    def losses(self, features: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """One term: class logits and pairs in one softmax."""
        term = self.loss_contrast(self.embed(features), labels, self.classifier(features))
        return {self.loss_contrast.loss_name: term}
