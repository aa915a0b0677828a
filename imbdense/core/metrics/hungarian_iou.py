"""Scores of clusters that have no names: they get those that fit best, then count like classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClusterScores:
    """Scores after matching, in [0, 1].

    Attributes:
        owner: (K,) class of each cluster, -1 = none; its positions are missed by their class and nobody's false ones.
        iou, recall: (C,) per class, NaN for a class without truth ("absent"), 0 for one without a cluster.
        truth: (C,) int64 positions per class.
        accuracy: oAcc, matched positions / all; NaN when nothing was counted.
    """

    owner: NDArray[np.int64]
    iou: Floats
    recall: Floats
    truth: NDArray[np.int64]
    accuracy: float

    @property
    def mean_iou(self) -> float:
        """Over the classes that occur; NaN without any."""
        return _mean(self.iou)

    @property
    def mean_recall(self) -> float:
        """mAcc, over the classes that occur."""
        return _mean(self.recall)


def cluster_scores(table: NDArray[Any], owner: NDArray[np.int64]) -> ClusterScores:
    """Scores of a (C, K) table, rows = truth, with the classes (K,) that :func:`match_clusters` gave the clusters."""
    counts = np.asarray(table, np.int64)
    classes = counts.shape[0]
    named = np.zeros((classes, classes), np.int64)
    for cluster, name in enumerate(owner.tolist()):
        if name >= 0:
            named[:, name] += counts[:, cluster]
    hit, truth = np.diag(named), counts.sum(1)
    union = truth + named.sum(0) - hit
    absent = truth == 0
    iou = np.where(absent, np.nan, hit / np.maximum(union, 1))
    recall = np.where(absent, np.nan, hit / np.maximum(truth, 1))
    total = int(truth.sum())
    return ClusterScores(owner, iou, recall, truth, float(hit.sum() / total) if total else float('nan'))


def normalized_mutual_information(table: NDArray[Any]) -> float:
    """NMI of a table of counts: ``2 I / (H_rows + H_columns)``; 1 when both have one value, NaN for an empty table."""
    counts = np.asarray(table, np.float64)
    total = counts.sum()
    if total == 0:
        return float('nan')
    joint, rows, columns = counts / total, counts.sum(1) / total, counts.sum(0) / total
    entropies = _entropy(rows) + _entropy(columns)
    if entropies == 0:
        return 1.0
    used = joint > 0
    information = float((joint[used] * np.log(joint[used] / np.outer(rows, columns)[used])).sum())
    return max(0.0, 2 * information / entropies)


def _entropy(shares: Floats) -> float:
    """In nats."""
    used = shares[shares > 0]
    return float(-(used * np.log(used)).sum())


def _mean(values: Floats) -> float:
    """Mean of what is not NaN."""
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float('nan')
