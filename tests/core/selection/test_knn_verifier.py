"""Neighbours that agree with a proposal, or do not."""

from __future__ import annotations

import numpy as np

from imbdense.core.selection import KNNVerifier
from tests.helpers.synthetic_pool import synthetic_pool


def slow_votes(features: np.ndarray, claimed: np.ndarray, k: int, weight: np.ndarray) -> list[dict[int, float]]:
    """The votes of the k nearest by cosine, one object at a time."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    found = []
    for i in range(len(unit)):
        similarity = unit @ unit[i]
        similarity[i] = -np.inf
        votes: dict[int, float] = {}
        for j in np.argsort(-similarity, kind='stable')[:k]:
            votes[int(claimed[j])] = votes.get(int(claimed[j]), 0.0) + weight[claimed[j]]
        found.append(votes)
    return found


def test_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    features, claimed = rng.normal(size=(80, 6)).astype(np.float32), rng.integers(0, 4, 80).astype(np.int32)
    size = np.bincount(claimed, minlength=4)
    for balanced in (False, True):
        verdict = KNNVerifier(k=7, balanced=balanced)(features, claimed, 4)
        votes = slow_votes(features, claimed, 7, 1 / size if balanced else np.ones(4))
        for i, own in enumerate(votes):
            mine = own.get(int(claimed[i]), 0.0)
            assert verdict.agrees[i] == (mine >= max(own.values()) - 1e-12)
            assert np.isclose(verdict.share[i], mine / sum(own.values()))


def test_a_tie_keeps_the_object() -> None:
    features = np.array([[1.0, 0.0], [1.0, 0.01], [1.0, -0.01]], np.float32)
    verdict = KNNVerifier(k=2)(features, np.array([0, 0, 1], np.int32), 2)
    assert verdict.agrees.tolist() == [True, True, False]  # object 0: one vote each; object 2: none of its own


def test_fewer_objects_than_neighbours() -> None:
    one = KNNVerifier(k=10)(np.ones((1, 3), np.float32), np.zeros(1, np.int32), 2)
    assert one.agrees.tolist() == [True] and one.share.tolist() == [1.0]
    two = KNNVerifier(k=10)(np.ones((2, 3), np.float32), np.array([0, 1], np.int32), 2)
    assert two.agrees.tolist() == [False, False]
    none = KNNVerifier()(np.ones((0, 3), np.float32), np.zeros(0, np.int32), 2)
    assert none.agrees.shape == (0,)


def test_it_finds_the_wrong_proposals() -> None:
    drawn = synthetic_pool(0, wrong=0.1, images=400)
    right = drawn.pool.obj_class == drawn.klass
    verdict = KNNVerifier()(drawn.pool.obj_feat, drawn.pool.obj_class, 20)
    assert right.mean() < 0.92 and right[verdict.agrees].mean() > 0.99
    assert verdict.agrees[right].mean() > 0.95
