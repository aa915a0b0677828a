"""Labels for whole clusters: suggest neighbours, check by samples, split what is mixed."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imbdense.core.checks import check_integer
from imbdense.core.selection.apportion import apportion
from imbdense.core.selection.cluster_bins import ClusterBins
from imbdense.core.selection.equal_frequency import equal_frequency_bins
from imbdense.core.selection.kmeans import kmeans

MIXED, UNSURE = 'mixed', 'unsure'
"""Labels that stand for no class."""
AGREEMENT = 0.95
"""Share of the checked members that must have the label."""
LOWER_BOUND = 0.80
"""What the lower bound of that share must reach."""
Z_ONE_SIDED = 1.6448536269514722
"""95 % of a normal distribution lie below."""
NEAR = 0.75
"""Suggested clusters are nearer than this quantile of all distances to the nearest centre."""


def wilson_lower_bound(successes: int, trials: int, z: float = Z_ONE_SIDED) -> float:
    """Lower bound of a share, one-sided 95 % (Wilson's score interval); 0 without trials.

    ``(p + z^2 / 2n - z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)``. 19 of 20 give .804, 18 of 20 give .738.
    """
    if trials == 0:
        return 0.0
    share, extra = successes / trials, z * z / trials
    return (share + extra / 2 - math.sqrt(extra * (share * (1 - share) + extra / 4))) / (1 + extra)


class ClusterLabeler:
    """Name whole clusters, check the names on samples, and give them to the members.

    A name given to a cluster is provisional. :meth:`sample` draws members of every distance bin for a person to see;
    :meth:`judge` takes the verdicts: accepted when at least 95 % agree and Wilson's lower bound reaches .80 (or when
    every member was seen); else the cluster is split in two once, both halves keep the name provisionally; a half that
    fails becomes 'mixed'.

    State: :meth:`to_json` / :meth:`from_json`, everything but the features. Not for several processes at once.

    Args:
        features: (n, d) of the rows in the space that was clustered; read when a cluster is split.
        clusters: (n,) int64 cluster of each row. bins: (n,) int64 bin. centroids: (K, d).
        seed: of the samples and splits.

    Raises:
        ValueError: lengths that differ, a cluster that does not exist, or a step that is not due.
    """

    def __init__(
        self,
        features: NDArray[Any],
        clusters: NDArray[np.int64],
        bins: NDArray[np.int64],
        centroids: NDArray[Any] | Sequence[NDArray[Any]],
        seed: int = 0,
    ) -> None:
        if not len(features) == len(clusters) == len(bins) or int(np.max(clusters, initial=-1)) >= len(centroids):
            raise ValueError(
                f'ClusterLabeler: features, clusters and bins must have one length and clusters must lie in '
                f'[0, {len(centroids)}), but the lengths are {len(features)}, {len(clusters)} and {len(bins)}.'
            )
        if len(centroids) and features.shape[1] != len(centroids[0]):
            raise ValueError(
                f'ClusterLabeler: features must be in the space that was clustered, with {len(centroids[0])} columns, '
                f'but have {features.shape[1]}. Take ClusterBins.reduced.'
            )
        self._features = features
        self.clusters, self.bins = np.array(clusters, np.int64), np.array(bins, np.int64)
        self._centroids = [np.asarray(row, np.float64) for row in centroids]
        self.seed = check_integer('seed', seed, low=0, owner='ClusterLabeler')
        self.label_of: list[str | None] = [None] * len(centroids)
        self.accepted = [False] * len(centroids)
        self.parent = [-1] * len(centroids)
        self._samples: dict[int, list[int]] = {}

    @classmethod
    def of(cls, binned: ClusterBins, seed: int = 0) -> ClusterLabeler:
        """For the clusters of :func:`imbdense.core.selection.cluster_and_bin`."""
        return cls(binned.reduced, binned.clusters, binned.bins, binned.centroids, seed)

    def members(self, cluster: int) -> NDArray[np.int64]:
        """Rows of a cluster, ascending; none for one that was split."""
        self._check(cluster)
        return np.flatnonzero(self.clusters == cluster)

    def label(self, cluster: int, label: str | None) -> None:
        """Name a cluster provisionally; 'mixed' and 'unsure' stand for no class, ``None`` takes the name away."""
        self._check(cluster)
        self.label_of[cluster], self.accepted[cluster] = label, False
        self._samples.pop(cluster, None)

    def suggest(self, cluster: int, n: int = 4) -> list[int]:
        """Up to ``n`` clusters without a label that probably want the same one, nearest first.

        Their centre is nearer to that of ``cluster`` than the 75th percentile of the distances of all clusters to their
        nearest one. Ties by number.
        """
        self._check(cluster)
        check_integer('n', n, low=1, owner='ClusterLabeler.suggest')
        alive = np.array([c for c in range(len(self.label_of)) if (self.clusters == c).any()], np.int64)
        if alive.size < 2:
            return []
        centres = np.stack([self._centroids[c] for c in alive])
        distance = np.linalg.norm(centres[:, None] - centres[None], axis=2)
        np.fill_diagonal(distance, np.inf)
        limit = np.quantile(distance.min(1), NEAR)
        own = np.linalg.norm(centres - self._centroids[cluster], axis=1)
        order = np.argsort(own, kind='stable')
        near = [int(alive[i]) for i in order if alive[i] != cluster and own[i] < limit]
        return [c for c in near if self.label_of[c] is None][:n]

    def sample(self, cluster: int, n: int = 20) -> list[int]:
        """Rows of a named cluster for a person to look at: equally many of each bin, at most ``n``, in random order.

        The same rows until :meth:`judge` is called. Bins with too few members leave their share to the others.

        Raises:
            ValueError: the cluster has no name, or ``n`` is below 11 (even full agreement would not reach the bound).
        """
        self._check(cluster)
        check_integer('n', n, low=11, owner='ClusterLabeler.sample')
        if self.label_of[cluster] in (None, MIXED, UNSURE):
            raise ValueError(f'ClusterLabeler: cluster {cluster} has no name to check. Call label() first.')
        if cluster not in self._samples:
            rng = np.random.default_rng([self.seed, cluster])
            rows = self.members(cluster)
            bins, sizes = np.unique(self.bins[rows], return_counts=True)
            shares = apportion(n, np.ones(len(bins)), sizes)
            drawn = [rng.choice(rows[self.bins[rows] == b], k, replace=False) for b, k in zip(bins, shares)]
            self._samples[cluster] = rng.permutation(np.concatenate(drawn)).tolist()
        return list(self._samples[cluster])

    def judge(self, cluster: int, agrees: Sequence[bool]) -> str:
        """Take the verdicts on :meth:`sample`, in its order; returns 'accepted', 'split' or 'mixed'."""
        self._check(cluster)
        rows = self._samples.get(cluster)
        if rows is None or len(agrees) != len(rows):
            wanted = 'call sample() first' if rows is None else f'{len(rows)} verdicts are due, {len(agrees)} came'
            raise ValueError(f'ClusterLabeler: cluster {cluster}: {wanted}.')
        del self._samples[cluster]
        right, checked, size = sum(map(bool, agrees)), len(rows), len(self.members(cluster))
        sure = checked == size or wilson_lower_bound(right, checked) >= LOWER_BOUND
        if right >= AGREEMENT * checked and sure:
            self.accepted[cluster] = True
            return 'accepted'
        if self.parent[cluster] < 0 and size > 1 and self._split(cluster):
            return 'split'
        self.label(cluster, MIXED)
        return MIXED

    def children(self, cluster: int) -> list[int]:
        """The halves of a cluster that was split."""
        return [child for child, parent in enumerate(self.parent) if parent == cluster]

    def member_labels(self, accepted_only: bool = True) -> list[str | None]:
        """The class of each row; ``None`` where its cluster has none, is 'mixed' or 'unsure', or (unless asked for)
        provisional."""
        names = [
            label if label not in (MIXED, UNSURE) and (accepted or not accepted_only) else None
            for label, accepted in zip(self.label_of, self.accepted)
        ]
        return [names[cluster] for cluster in self.clusters.tolist()]

    def to_json(self) -> str:
        """The state as JSON text; write it with ``imbdense.utils.files.atomic_write_text``."""
        state = {
            'version': 1, 'seed': self.seed, 'clusters': self.clusters.tolist(), 'bins': self.bins.tolist(),
            'centroids': [row.tolist() for row in self._centroids], 'labels': self.label_of,
            'accepted': self.accepted, 'parent': self.parent,
            'samples': {str(cluster): rows for cluster, rows in self._samples.items()},
        }
        return json.dumps(state, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, features: NDArray[Any]) -> ClusterLabeler:
        """Go on from :meth:`to_json` with the same features.

        Raises:
            ValueError: the text is no state of this class, or has another number of rows.
        """
        try:
            state = json.loads(text)
            if state['version'] != 1:
                raise ValueError(f'version {state["version"]} is not known')
            labeler = cls(features, np.array(state['clusters'], np.int64), np.array(state['bins'], np.int64),
                          [np.array(row) for row in state['centroids']], state['seed'])
            labeler.label_of, labeler.accepted, labeler.parent = state['labels'], state['accepted'], state['parent']
            labeler._samples = {int(cluster): rows for cluster, rows in state['samples'].items()}
        except (KeyError, TypeError, ValueError) as error:
            said = str(error).rstrip('.')
            raise ValueError(f'ClusterLabeler: the text is not a saved state: {said}.') from error
        return labeler

    def _split(self, cluster: int) -> bool:
        """Two clusters in place of one; ``False`` when all members are equal."""
        rows = self.members(cluster)
        values = np.asarray(self._features[rows], np.float32)
        if not (values != values[0]).any():
            return False
        halves = np.asarray(kmeans(torch.from_numpy(values), 2, seed=self.seed).labels)
        groups = int(self.bins[rows].max()) + 1
        for half in (0, 1):
            own = rows[halves == half]
            part = values[halves == half]
            distance = np.linalg.norm(part - part.mean(0), axis=1)
            self.bins[own] = equal_frequency_bins(distance, np.zeros(len(own), np.int64), groups)
            self.clusters[own] = len(self.label_of)
            self._centroids.append(part.mean(0, dtype=np.float64))
            self.label_of.append(self.label_of[cluster])
            self.accepted.append(False)
            self.parent.append(cluster)
        self.label_of[cluster] = None
        return True

    def _check(self, cluster: int) -> None:
        """A cluster that exists."""
        if not 0 <= cluster < len(self.label_of):
            raise ValueError(f'ClusterLabeler: there is no cluster {cluster}; there are 0 to {len(self.label_of) - 1}.')
