"""Pretext task: which way is up?"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from imbdense.core.representation import rotate_images
from imbdense.nn.self_supervised.base import (
    PretextTask,
    classification_terms,
    global_average,
    one_label_each,
)


class RotationTask(PretextTask):
    """Pre-train a backbone by predicting by how many quarters each image was turned.

    Every image is turned once, by 0, 1, 2 or 3 quarters; over the batch the four are equally frequent (up to one) and
    randomly permuted. The mean of the feature map goes through one linear layer of four logits. Useless where images
    have no up (nadir imagery, slides): there the accuracy stays at a quarter; take :class:`JigsawTask`.

    Terms: ``loss_pretext``, ``stat_accuracy``, ``stat_embedding_spread`` (of the mean features). Random numbers from
    torch's global generator; each rank draws its own. Further views are further images.

    Args:
        in_channels, in_index: see :class:`PretextTask`. Images must be square.

    Source: Gidaris et al., ICLR 2018; as pre-training for imbalanced data Yang and Xu, NeurIPS 2020.
    """

    card = 'self_supervised_pretraining'
    tasks = ('segmentation', 'detection')

    def __init__(self, in_channels: int, in_index: int = -1) -> None:
        super().__init__(in_channels, in_index)
        self.classifier = nn.Linear(in_channels, 4)

    def forward(self, backbone: nn.Module, views: Sequence[Tensor]) -> dict[str, Tensor]:
        """Turn, encode, classify."""
        images, labels = one_label_each(views, 4)
        embeddings = global_average(self.feature_map(backbone, rotate_images(images, labels)))
        return classification_terms(embeddings, self.classifier(embeddings), labels)
