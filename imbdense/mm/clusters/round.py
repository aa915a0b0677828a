"""One round: parts of all scenes -> centroids and pseudo-labels, the same on every number of ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.matching import match_centroids, power_law_prior, sinkhorn_assign
from imbdense.core.selection import SphericalKMeans
from imbdense.mm.segmentors.cluster_segmentor import PooledParts
from imbdense.utils.distributed import gather_objects, rank_and_world


@dataclass(frozen=True, eq=False)
class ClusterRound:
    """What a round leaves.

    Attributes:
        number: of the round, from 0.
        centroids: (K, C) float32, unit length, in the order of the round before.
        labels: scene -> (S,) int64 cluster of each part, -1 for a part without a feature.
        counts: (K,) int64 elements (points, pixels) of each cluster. parts: (K,) int64, its parts.
    """

    number: int
    centroids: Tensor
    labels: dict[str, Tensor]
    counts: Tensor
    parts: Tensor

    def state(self) -> dict[str, Any]:
        """For a checkpoint: tensors and numbers alone."""
        return {'number': self.number, 'centroids': self.centroids, 'counts': self.counts, 'parts': self.parts,
                'labels': {name: values.to(torch.int32) for name, values in self.labels.items()}}  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ClusterRound:
        """Inverse of :meth:`state`."""
        labels = {name: values.long() for name, values in state['labels'].items()}
        return cls(int(state['number']), state['centroids'], labels, state['counts'], state['parts'])


def cluster_round(
    pooled: Sequence[PooledParts], kmeans: SphericalKMeans, number: int, before: Tensor | None = None,
    prior_exponent: float | None = None,
) -> ClusterRound:  # fmt: skip
    """Cluster the parts that all ranks have pooled. **Collective.**

    Rows are put in the order of (scene, part), whoever pooled them, and a scene pooled twice counts once; rank 0
    clusters, the others take its result.

    Args:
        pooled: of this rank. number: of the round.
        before: (K, C) centroids of the last round, whose order is kept (Hungarian matching on cosines).
        prior_exponent: labels by Sinkhorn with a power-law prior of this exponent; ``None`` = the nearest centroid.

    Raises:
        TooFewRowsError: fewer parts than clusters. ValueError: a feature that is NaN; the scene is named.
    """
    own = {item.name: (item.features.cpu().numpy(), item.sizes.cpu().numpy()) for item in pooled}
    scenes: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {}
    for share in gather_objects(own):
        scenes.update({name: value for name, value in share.items() if name not in scenes})
    names = sorted(scenes)
    for name in names:
        if not np.isfinite(scenes[name][0]).all():
            raise ValueError(f'the pooled features of {name} hold NaN or infinite values; has the training diverged?')
    rows = np.concatenate([scenes[name][0] for name in names]) if names else np.zeros((0, 1), np.float32)
    sizes = np.concatenate([scenes[name][1] for name in names]) if names else np.zeros(0, np.int64)
    used = rows.any(axis=1) & (sizes > 0)
    result = _on_first_rank(rows[used], sizes[used], kmeans, before, prior_exponent)
    centroids, found = result
    label = np.full(len(rows), -1, np.int64)
    label[used] = found
    ends = np.cumsum([len(scenes[name][0]) for name in names])[:-1]
    labels = {name: torch.from_numpy(part) for name, part in zip(names, np.split(label, ends))}
    clusters = len(centroids)
    counts = np.bincount(found, sizes[used], clusters).astype(np.int64)
    parts = np.bincount(found, minlength=clusters)
    return ClusterRound(number, torch.from_numpy(centroids), labels, torch.from_numpy(counts), torch.from_numpy(parts))


def _on_first_rank(
    rows: NDArray[Any], sizes: NDArray[Any], kmeans: SphericalKMeans, before: Tensor | None, exponent: float | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(centroids, labels) of rank 0 on every rank; an error of rank 0 is raised on all."""
    rank, world = rank_and_world()
    answer: list[Any] = [None]
    if rank == 0:
        try:
            answer = [_cluster(rows, sizes, kmeans, before, exponent)]
        except ValueError as error:
            if world == 1:
                raise
            answer = [error]
    if world > 1:
        dist.broadcast_object_list(answer, src=0)
    if isinstance(answer[0], ValueError):
        raise answer[0]
    found: tuple[NDArray[np.float32], NDArray[np.int64]] = answer[0]
    return found


def _cluster(
    rows: NDArray[Any], sizes: NDArray[Any], kmeans: SphericalKMeans, before: Tensor | None, exponent: float | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """k-means, the order of the last round, and labels."""
    result = kmeans.fit(rows.astype(np.float32), sizes)
    order = np.arange(len(result.centroids))
    if before is not None and before.shape == result.centroids.shape:
        order = match_centroids(before.cpu().numpy(), result.centroids)
    centroids = result.centroids[order]
    rank_of = np.argsort(order)
    if exponent is None:
        return centroids, rank_of[result.labels]
    cosine = torch.from_numpy(rows.astype(np.float32) @ centroids.T)
    mass = torch.from_numpy(sizes.astype(np.float64))
    size = torch.bincount(torch.from_numpy(rank_of[result.labels]), mass, len(centroids))
    shares = sinkhorn_assign(cosine, power_law_prior(size, exponent), weights=mass)
    return centroids, shares.argmax(1).numpy()
