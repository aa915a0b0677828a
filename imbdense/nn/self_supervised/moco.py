"""Pretext task: find the other view of an image among a queue of earlier images."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.core.checks import check_integer, check_number
from imbdense.core.optim import update_teacher
from imbdense.core.reduction import full_precision
from imbdense.core.representation import KeyQueue, embedding_spread, info_nce
from imbdense.nn.self_supervised.base import PretextTask, check_batch, global_average, mlp
from imbdense.nn.self_supervised.shuffled_batch import encode_in_groups, encode_shuffled, own_rows, several_ranks


class MoCoTask(PretextTask):
    """Pre-train a backbone by telling the other view of an image from a queue of earlier ones (MoCo v2).

    The query q is the unit vector of MLP(mean feature) of the first view, its key k that of the second by a momentum
    encoder, the negatives the last ``queue_size`` keys: ``L = InfoNCE(q, k, queue)``. Before every batch the momentum
    encoder moves, ``key <- m key + (1 - m) query`` (weights alone; its batch norm has statistics of its own), after it
    the keys enter the queue.

    **Batch norm must not tell.** Keys are normalised in other company than their queries, see
    :func:`~imbdense.nn.self_supervised.shuffled_batch.encode_shuffled`: with several ranks their images are shuffled
    over all of them; on one device queries and shuffled keys are encoded in ``groups`` parts. Pointless, but harmless
    for backbones without batch norm (``groups=1``).

    Terms: ``loss_pretext``, ``stat_embedding_spread`` of q. State: ``key_backbone.*``, ``key_projector.*`` (frozen),
    ``queue.*``: equal on all ranks but for running statistics; a resumed run goes on with them. Each rank must have
    equally many images per batch. Accumulated gradients move the momentum encoder at each batch.

    Args:
        in_channels, in_index: see :class:`PretextTask`.
        dim: channels of the embedding.
        hidden: channels of the layer between; ``None`` = ``in_channels``, as in the reference.
        queue_size: K; for small data a few times the batch.
        momentum: m in [0, 1]; runs of a few thousand batches want .99.
        temperature: T > 0.
        groups: parts of a batch on one device, each of at least two images.

    Raises:
        ValueError: fewer than ``2 * groups`` images in a batch.

    Source: He et al., MoCo, CVPR 2020; Chen et al., Improved baselines with momentum contrastive learning, 2020.
    """

    card = 'self_supervised_pretraining'
    tasks = ('segmentation', 'detection')
    num_views = 2
    key_backbone: nn.Module

    def __init__(
        self,
        in_channels: int,
        in_index: int = -1,
        dim: int = 128,
        hidden: int | None = None,
        queue_size: int = 65536,
        momentum: float = 0.999,
        temperature: float = 0.2,
        groups: int = 2,
    ) -> None:
        super().__init__(in_channels, in_index)
        name = type(self).__name__
        self.dim = check_integer('dim', dim, low=1, owner=name)
        self.hidden = in_channels if hidden is None else check_integer('hidden', hidden, low=1, owner=name)
        self.momentum = check_number('momentum', momentum, low=0.0, high=1.0, owner=name)
        self.temperature = check_number('temperature', temperature, low=0.0, low_open=True, owner=name)
        self.groups = check_integer('groups', groups, low=1, owner=name)
        self.projector: nn.Module = mlp((in_channels, self.hidden, dim))
        self.queue = KeyQueue(dim, queue_size)

    def attach(self, backbone: nn.Module) -> None:
        """Make the momentum encoder."""
        self.key_backbone = copy.deepcopy(backbone)
        self.key_projector = copy.deepcopy(self.projector)
        self.key_backbone.requires_grad_(False)
        self.key_projector.requires_grad_(False)

    def start(self, backbone: nn.Module) -> None:
        """The momentum encoder begins as the encoder, buffers included."""
        update_teacher(self.key_backbone, backbone, 0.0, 'copy')
        update_teacher(self.key_projector, self.projector, 0.0, 'copy')

    def forward(self, backbone: nn.Module, views: Sequence[Tensor]) -> dict[str, Tensor]:
        """Move the momentum encoder, compare, and fill the queue."""
        (query,), (keys,) = self._encode_pair(backbone, views)
        loss = info_nce(query, own_rows(keys), self.queue.snapshot(), temperature=self.temperature)
        self.queue.push(keys)
        return {'loss_pretext': loss, 'stat_embedding_spread': embedding_spread(query)}

    def embed(self, features: Tensor, projector: nn.Module) -> tuple[Tensor, ...]:
        """What is compared, of a feature map: here (N, dim) unit vectors; float32 also under autocast."""
        return (unit(projector(global_average(features))),)

    def _encode_pair(
        self, backbone: nn.Module, views: Sequence[Tensor]
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """(embeddings of the first view, embeddings of the second view of all ranks)."""
        groups = 1 if several_ranks() else self.groups
        check_batch(views[0], 2 * groups, type(self).__name__)
        self._follow(backbone)

        def encode(images: Tensor) -> tuple[Tensor, ...]:
            return self.embed(self.feature_map(backbone, images), self.projector)

        def encode_key(images: Tensor) -> tuple[Tensor, ...]:
            return self.embed(self.feature_map(self.key_backbone, images), self.key_projector)

        return encode_in_groups(encode, views[0], groups), encode_shuffled(encode_key, views[1], groups)

    @torch.no_grad()
    def _follow(self, backbone: nn.Module) -> None:
        """One step of the momentum encoder."""
        update_teacher(self.key_backbone, backbone, self.momentum, 'keep')
        update_teacher(self.key_projector, self.projector, self.momentum, 'keep')


def unit(vectors: Tensor) -> Tensor:
    """Unit vectors along dim 1 in full precision."""
    return F.normalize(full_precision(vectors), dim=1)
