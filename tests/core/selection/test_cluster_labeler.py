"""Naming clusters: suggestions, samples, verdicts, splits, and the state as text."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.selection.cluster_bins import cluster_and_bin
from imbdense.core.selection.cluster_labeler import MIXED, ClusterLabeler, wilson_lower_bound

SIZES = (60, 60, 40, 40, 30)
CENTRES = np.array([[0.0, 0], [4, 0], [0, 5], [60, 60], [120, 0]])


def labeler() -> tuple[ClusterLabeler, np.ndarray, list[int]]:
    """Five blobs, three of them near each other; the true blob of each row; the cluster of each blob."""
    rng = np.random.default_rng(0)
    parts = np.repeat(np.arange(5), SIZES)
    points = CENTRES[parts] + 0.3 * rng.normal(size=(len(parts), 2))
    for seed in range(10):  # one start of k-means may join two blobs
        found = cluster_and_bin(torch.from_numpy(points.astype(np.float32)), 5, seed=seed)
        place = [int(np.bincount(found.clusters[parts == part]).argmax()) for part in range(5)]
        if len(set(place)) == 5:
            return ClusterLabeler.of(found), parts, place
    raise AssertionError('no start of k-means finds the five blobs')


def mixed_labeler(overlap: bool = False) -> tuple[ClusterLabeler, np.ndarray]:
    """One cluster that holds two things, apart or (``overlap``) in the same place."""
    rng = np.random.default_rng(0)
    truth = np.arange(200) % 2
    points = (0 if overlap else 30) * truth[:, None] + rng.normal(size=(200, 2))
    return ClusterLabeler.of(cluster_and_bin(torch.from_numpy(points.astype(np.float32)), 1)), truth


def test_wilson_by_hand() -> None:
    assert wilson_lower_bound(19, 20) == pytest.approx(0.804, abs=1e-3)
    assert wilson_lower_bound(20, 20) == pytest.approx(20 / (20 + 1.6449**2), abs=1e-4)
    assert wilson_lower_bound(18, 20) == pytest.approx(0.738, abs=1e-3)
    assert wilson_lower_bound(0, 0) == 0 and wilson_lower_bound(0, 20) == pytest.approx(0, abs=1e-9)


def test_suggests_near_clusters_without_a_label() -> None:
    own, _, place = labeler()
    own.label(place[0], 'tumour')
    assert own.suggest(place[0]) == [place[1], place[2]]
    assert own.suggest(place[0], n=1) == [place[1]]
    own.label(place[1], 'tumour')
    assert own.suggest(place[0]) == [place[2]]
    assert own.suggest(place[3]) == []  # far from everything


def test_sample_takes_four_of_each_bin() -> None:
    own, _, place = labeler()
    own.label(place[0], 'tumour')
    rows = own.sample(place[0])
    assert len(set(rows)) == 20 and np.bincount(own.bins[rows]).tolist() == [4] * 5
    assert set(own.clusters[rows]) == {place[0]} and own.sample(place[0]) == rows


def test_accepted_with_one_of_twenty_wrong_and_not_with_two() -> None:
    own, parts, place = labeler()
    own.label(place[0], 'tumour')
    own.sample(place[0])
    assert own.member_labels() == [None] * len(parts)
    assert own.member_labels(accepted_only=False).count('tumour') == 60
    assert own.judge(place[0], [True] * 19 + [False]) == 'accepted'
    assert [label == 'tumour' for label in own.member_labels()] == (parts == 0).tolist()
    own.label(place[1], 'tumour')
    own.sample(place[1])
    assert own.judge(place[1], [True] * 18 + [False] * 2) == 'split'
    assert len(own.children(place[1])) == 2 and not own.members(place[1]).size


def test_a_cluster_of_two_things_is_split_and_each_half_named() -> None:
    own, truth = mixed_labeler()
    own.label(0, 'roof')
    assert own.judge(0, [bool(truth[row] == 0) for row in own.sample(0)]) == 'split'
    verdicts = {}
    for child in own.children(0):
        assert own.label_of[child] == 'roof'  # provisional, as before
        kind = int(truth[own.members(child)].mean() > 0.5)
        if kind:
            own.label(child, 'road')
        verdicts[kind] = own.judge(child, [bool(truth[row] == kind) for row in own.sample(child)])
    assert verdicts == {0: 'accepted', 1: 'accepted'}
    assert own.member_labels() == ['road' if kind else 'roof' for kind in truth]


def test_what_cannot_be_told_apart_is_mixed_after_one_split() -> None:
    own, truth = mixed_labeler(overlap=True)
    own.label(0, 'roof')
    assert own.judge(0, [bool(truth[row] == 0) for row in own.sample(0)]) == 'split'
    for child in own.children(0):
        assert own.judge(child, [bool(truth[row] == 0) for row in own.sample(child)]) == MIXED
        assert own.children(child) == []
    assert own.member_labels(accepted_only=False) == [None] * 200


def test_a_small_cluster_is_accepted_when_all_of_it_was_seen() -> None:
    own = ClusterLabeler(np.zeros((6, 2)), np.zeros(6, np.int64), np.arange(6) % 5, np.zeros((1, 2)))
    own.label(0, 'mast')
    assert len(own.sample(0)) == 6
    assert own.judge(0, [True] * 6) == 'accepted'
    own.label(0, 'mast')
    own.sample(0)
    assert own.judge(0, [True] * 5 + [False]) == MIXED  # equal rows cannot be split


def test_the_state_survives() -> None:
    own, _, place = labeler()
    own.label(place[0], 'tumour')
    rows = own.sample(place[0])
    own.label(place[1], 'stroma')
    own.sample(place[1])
    own.judge(place[1], [False] * 20)
    other = ClusterLabeler.from_json(own.to_json(), own._features)
    assert other.sample(place[0]) == rows and other.to_json() == own.to_json()
    assert other.judge(place[0], [True] * 20) == 'accepted'
    assert other.member_labels().count('tumour') == 60


def test_errors() -> None:
    own, _, place = labeler()
    with pytest.raises(ValueError, match='no name'):
        own.sample(place[0])
    own.label(place[0], 'tumour')
    with pytest.raises(ValueError, match=r'sample\(\) first'):
        own.judge(place[0], [True])
    with pytest.raises(ValueError, match='n must be'):
        own.sample(place[0], n=5)
    own.sample(place[0])
    with pytest.raises(ValueError, match='20 verdicts are due'):
        own.judge(place[0], [True])
    with pytest.raises(ValueError, match='no cluster 99'):
        own.label(99, 'x')
    with pytest.raises(ValueError, match='not a saved state'):
        ClusterLabeler.from_json('{"version": 2}', own._features)
    with pytest.raises(ValueError, match='columns'):
        ClusterLabeler(np.zeros((3, 4)), np.zeros(3, np.int64), np.zeros(3, np.int64), np.zeros((1, 2)))
