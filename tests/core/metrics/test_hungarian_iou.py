"""Scores of matched clusters: the worked example, absent classes, mutual information against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.matching import match_clusters
from imbdense.core.metrics.hungarian_iou import cluster_scores, normalized_mutual_information


def table(truth: list[int], clusters: list[int], classes: int, number: int) -> np.ndarray:
    found = np.zeros((classes, number), np.int64)
    np.add.at(found, (truth, clusters), 1)
    return found


def test_worked_example() -> None:
    counts = table([0, 0, 0, 1, 1, 2], [2, 2, 1, 0, 0, 1], 3, 3)
    assert counts.tolist() == [[0, 1, 2], [2, 0, 0], [0, 1, 0]]
    scores = cluster_scores(counts, match_clusters(counts))
    assert scores.owner.tolist() == [1, 2, 0] and scores.accuracy == pytest.approx(5 / 6)
    assert scores.iou == pytest.approx([2 / 3, 1, 1 / 2]) and scores.mean_iou == pytest.approx(0.7222, abs=1e-4)
    assert scores.mean_recall == pytest.approx((2 / 3 + 1 + 1) / 3)


def test_absent_class_is_left_out_and_an_unmatched_cluster_is_missed() -> None:
    counts = np.array([[8, 2, 0], [0, 0, 0], [0, 1, 5]])
    scores = cluster_scores(counts, match_clusters(counts))
    assert scores.owner.tolist() == [0, -1, 2] and np.isnan(scores.iou[1])
    assert scores.iou[[0, 2]] == pytest.approx([0.8, 5 / 6]) and scores.accuracy == pytest.approx(13 / 16)
    many = cluster_scores(counts, match_clusters(counts, many_to_one=True))
    assert many.iou[[0, 2]] == pytest.approx([10 / 11, 5 / 6])
    few = cluster_scores(np.array([[5], [4]]), match_clusters(np.array([[5], [4]])))
    assert few.iou == pytest.approx([5 / 9, 0])
    empty = cluster_scores(np.zeros((2, 2), int), np.array([-1, -1]))
    assert np.isnan(empty.accuracy) and np.isnan(empty.mean_iou)


def test_renaming_the_clusters_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 30, (4, 6))
    order = rng.permutation(6)
    first, second = (cluster_scores(c, match_clusters(c)) for c in (counts, counts[:, order]))
    assert first.mean_iou == pytest.approx(second.mean_iou) and first.accuracy == pytest.approx(second.accuracy)
    assert normalized_mutual_information(counts) == pytest.approx(normalized_mutual_information(counts[:, order]))


def test_mutual_information() -> None:
    assert normalized_mutual_information(np.diag([3, 4, 5])) == pytest.approx(1)
    assert normalized_mutual_information(np.outer([1, 2], [3, 4])) == pytest.approx(0, abs=1e-12)
    assert normalized_mutual_information(np.array([[7]])) == 1
    assert np.isnan(normalized_mutual_information(np.zeros((2, 2))))
    counts = np.array([[3, 1], [0, 4]])
    p = counts / 8
    mutual = sum(p[i, j] * np.log(p[i, j] / (p[i].sum() * p[:, j].sum())) for i in (0, 1) for j in (0, 1) if p[i, j])
    half = [-(q * np.log(q)).sum() for q in (p.sum(1), p.sum(0))]
    assert normalized_mutual_information(counts) == pytest.approx(2 * mutual / sum(half))
