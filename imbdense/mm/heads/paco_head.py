"""``imbdense.PaCoHead``."""

from __future__ import annotations

from torch import Tensor

from imbdense.mm.heads.sampled_feature_head import SampledFeatureHead
from imbdense.registry import MODELS


@MODELS.register_module()
class PaCoHead(SampledFeatureHead):
    """Auxiliary head with the parametric contrastive loss (PaCo, GPaCo) on pixels drawn class by class.

    The drawn pixels are anchors and partners of each other; there is no queue. See :class:`SampledFeatureHead` for the
    draw and :class:`imbdense.mm.losses.paco.PaCoLoss` for the loss. Parameters: a two-layer projection and a linear
    classifier on the chosen feature map; neither is used at test time.

    The pixels are drawn nearly class-balanced, so by default the prior term is off and the smoothing on (GPaCo).

    Args:
        others: see :class:`SampledFeatureHead`.
    """

    card = 'contrastive'
    tasks = ('segmentation',)
    default_loss = {'type': 'imbdense.PaCoLoss', 'prior': False, 'smoothing': 0.1}

    def losses(self, features: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """One term: class logits and pairs in one softmax."""
        term = self.loss_contrast(self.embed(features), labels, self.classifier(features))
        return {self.loss_contrast.loss_name: term}
