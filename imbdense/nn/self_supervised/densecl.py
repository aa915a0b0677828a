"""Pretext task: MoCo for images and, location by location, for parts of images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.core.checks import check_integer, check_number
from imbdense.core.reduction import full_precision
from imbdense.core.representation import KeyQueue, embedding_spread, info_nce, match_locations
from imbdense.nn.self_supervised.base import global_average, mlp
from imbdense.nn.self_supervised.moco import MoCoTask, unit
from imbdense.nn.self_supervised.shuffled_batch import own_rows


class DenseProjector(nn.Module):
    """Two MLPs: one for the mean feature, one for every location."""

    def __init__(self, in_channels: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.whole = mlp((in_channels, hidden, dim))
        self.local = mlp((in_channels, hidden, dim), dense=True)


class DenseCLTask(MoCoTask):
    """Pre-train a backbone by contrasting images and, location by location, parts of images (DenseCL).

    ``L = (1 - w) InfoNCE(q, k, queue) + w mean_s InfoNCE(q_s, k_c(s), dense queue)``. The feature map is averaged to
    ``grid`` x ``grid`` locations; location s of the first view is paired with c(s), the location of the second one
    whose *backbone feature* has the largest cosine, so the two crops may lie anywhere. q_s, k_s are unit vectors of an
    MLP per location; the dense queue holds one unit vector per image, that of the mean of its local embeddings.

    Terms: ``loss_global``, ``loss_dense`` (weights included), ``stat_embedding_spread`` of q and
    ``stat_dense_spread`` of all q_s. Momentum encoder, shuffling, ranks and resuming as in :class:`MoCoTask`; the
    second queue is ``dense_queue.*``.

    Args:
        in_channels, in_index, dim, hidden, queue_size, momentum, temperature, groups: see :class:`MoCoTask`.
        dense_weight: w in [0, 1].
        grid: locations per side, >= 1; ``None`` = those of the feature map (memory grows with its area squared).

    Source: Wang et al., Dense contrastive learning for self-supervised visual pre-training, CVPR 2021.
    """

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
        dense_weight: float = 0.5,
        grid: int | None = 7,
    ) -> None:
        super().__init__(in_channels, in_index, dim, hidden, queue_size, momentum, temperature, groups)
        name = type(self).__name__
        self.dense_weight = check_number('dense_weight', dense_weight, low=0.0, high=1.0, owner=name)
        self.grid = None if grid is None else check_integer('grid', grid, low=1, owner=name)
        self.projector = DenseProjector(in_channels, self.hidden, dim)
        self.dense_queue = KeyQueue(dim, queue_size)

    def forward(self, backbone: nn.Module, views: Sequence[Tensor]) -> dict[str, Tensor]:
        """Move the momentum encoder, compare images and locations, and fill both queues."""
        (query, local, _, maps), (keys, key_local, key_mean, key_maps) = self._encode_pair(backbone, views)
        loss = info_nce(query, own_rows(keys), self.queue.snapshot(), temperature=self.temperature)
        pairs = match_locations(maps, own_rows(key_maps))
        positive = own_rows(key_local).gather(2, pairs[:, None].expand(-1, self.dim, -1))
        rows = local.transpose(1, 2).reshape(-1, self.dim)
        positive = positive.transpose(1, 2).reshape(-1, self.dim)
        dense = info_nce(rows, positive, self.dense_queue.snapshot(), temperature=self.temperature)
        self.queue.push(keys)
        self.dense_queue.push(key_mean)
        return {
            'loss_global': (1 - self.dense_weight) * loss,
            'loss_dense': self.dense_weight * dense,
            'stat_embedding_spread': embedding_spread(query),
            'stat_dense_spread': embedding_spread(rows),
        }

    def embed(self, features: Tensor, projector: nn.Module) -> tuple[Tensor, ...]:
        """(N, dim) of the image, (N, dim, S) of its locations, (N, dim) of their mean, (N, C, S) features."""
        located = features if self.grid is None else F.adaptive_avg_pool2d(features, self.grid)
        local = full_precision(projector.local(located)).flatten(2)
        with torch.no_grad():
            maps, mean = full_precision(located).flatten(2), unit(local.mean(2))
        return unit(projector.whole(global_average(features))), unit(local), mean, maps
