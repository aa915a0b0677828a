"""Pretext task: two views of an image predict each other, without negatives."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from imbdense.core.checks import check_integer
from imbdense.core.representation import embedding_spread, negative_cosine
from imbdense.nn.self_supervised.base import PretextTask, check_batch, global_average


class SimSiamTask(PretextTask):
    """Pre-train a backbone by letting each of two views predict the embedding of the other (SimSiam).

    ``L = D(p1, z2) / 2 + D(p2, z1) / 2``, D the negative cosine with a constant second argument, z the output of the
    projector (three layers with batch norm, the last without factors) on the mean of the feature map, p = predictor(z),
    a bottleneck of two layers. No queue, no momentum, so it suits small data and batches.

    Terms: ``loss_pretext`` in [-1, 1] and ``stat_embedding_spread`` of z: near 1 is healthy, towards 0 with a loss
    towards -1 is collapse. Each view is encoded on its own, so batch norm sees one view at a time. Ranks: batch norm
    is that of the rank; ``sync_bn='torch'`` of the host makes it common, as in the paper.

    Args:
        in_channels, in_index: see :class:`PretextTask`.
        dim: channels of z and of the hidden layers of the projector (paper: 2048).
        prediction_dim: channels of the hidden layer of the predictor (paper: 512, a quarter of ``dim``).

    Raises:
        ValueError: a batch of one image.

    Source: Chen and He, Exploring simple Siamese representation learning, CVPR 2021.
    """

    card = 'self_supervised_pretraining'
    tasks = ('segmentation', 'detection')
    num_views = 2

    def __init__(self, in_channels: int, in_index: int = -1, dim: int = 2048, prediction_dim: int = 512) -> None:
        super().__init__(in_channels, in_index)
        for name, value in (('dim', dim), ('prediction_dim', prediction_dim)):
            check_integer(name, value, low=1, owner=type(self).__name__)
        self.projector = nn.Sequential(
            *_hidden(in_channels, dim), *_hidden(dim, dim),
            nn.Linear(dim, dim, bias=False), nn.BatchNorm1d(dim, affine=False),
        )  # fmt: skip
        self.predictor = nn.Sequential(*_hidden(dim, prediction_dim), nn.Linear(prediction_dim, dim))

    def forward(self, backbone: nn.Module, views: Sequence[Tensor]) -> dict[str, Tensor]:
        """Encode both views, predict each from the other."""
        check_batch(views[0], 2, type(self).__name__)
        first, second = (self.projector(global_average(self.feature_map(backbone, view))) for view in views[:2])
        loss = negative_cosine(self.predictor(first), second) + negative_cosine(self.predictor(second), first)
        return {'loss_pretext': loss / 2, 'stat_embedding_spread': embedding_spread(first)}


def _hidden(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    """A linear layer with batch norm and ReLU."""
    return nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)
