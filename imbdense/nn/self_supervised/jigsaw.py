"""Pretext task: in which order do the quarters of an image belong?"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from imbdense.core.checks import check_integer
from imbdense.core.representation import JIGSAW_ORDERS, jigsaw_tiles
from imbdense.nn.self_supervised.base import (
    PretextTask,
    classification_terms,
    global_average,
    mlp,
    one_label_each,
)


class JigsawTask(PretextTask):
    """Pre-train a backbone by predicting in which of the 24 orders the four quarters of an image lie.

    The backbone sees every tile for itself, so that it cannot follow a line over the seam within one receptive field;
    the mean features of the four places, side by side, go through a layer of ``hidden`` to 24 logits. The orders are
    balanced over the batch like the turns of :class:`RotationTask`.

    Terms: ``loss_pretext``, ``stat_accuracy`` (chance 1 / 24), ``stat_embedding_spread`` (of the tiles). Random numbers
    from torch's global generator; each rank draws its own. Further views are further images.

    Args:
        in_channels, in_index: see :class:`PretextTask`. Half the image side must suit the strides of the backbone.
        hidden: channels of the layer between.

    Source: Noroozi and Favaro, ECCV 2016, with 2 x 2 tiles.
    """

    card = 'self_supervised_pretraining'
    tasks = ('segmentation', 'detection')

    def __init__(self, in_channels: int, in_index: int = -1, hidden: int = 256) -> None:
        super().__init__(in_channels, in_index)
        check_integer('hidden', hidden, low=1, owner=type(self).__name__)
        self.classifier = mlp((4 * in_channels, hidden, len(JIGSAW_ORDERS)))

    def forward(self, backbone: nn.Module, views: Sequence[Tensor]) -> dict[str, Tensor]:
        """Cut, shuffle, encode each tile, classify the order."""
        images, labels = one_label_each(views, len(JIGSAW_ORDERS))
        tiles = jigsaw_tiles(images, labels)
        embeddings = global_average(self.feature_map(backbone, tiles.flatten(0, 1)))
        logits = self.classifier(embeddings.view(images.shape[0], -1))
        return classification_terms(embeddings, logits, labels)
