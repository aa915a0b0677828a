"""Turns over the branches of a tree."""

from __future__ import annotations

import numpy as np

from imbdense.core.selection.round_robin import round_robin


def test_by_hand() -> None:
    """Class 0 has clusters 0 (four items) and 1 (one), class 1 has cluster 2 (two)."""
    classes = np.array([0, 0, 0, 0, 0, 1, 1])
    clusters = np.array([0, 0, 0, 0, 1, 2, 2])
    assert round_robin([classes, clusters]).tolist() == [0, 5, 4, 6, 1, 2, 3]


def test_every_prefix_is_spread() -> None:
    rng = np.random.default_rng(0)
    classes, clusters, bins = rng.integers(0, 3, 300), rng.integers(0, 10, 300), rng.integers(0, 5, 300)
    order = round_robin([classes, clusters, bins])
    assert sorted(order.tolist()) == list(range(300))
    assert set(classes[order[:3]]) == {0, 1, 2}
    assert len(set(zip(classes[order[:30]].tolist(), clusters[order[:30]].tolist()))) == 30
    cells = len(set(zip(classes.tolist(), clusters.tolist(), bins.tolist())))
    seen = set(zip(*(level[order[: cells // 2]].tolist() for level in (classes, clusters, bins))))
    assert len(seen) == cells // 2  # no cell twice before most had their turn


def test_items_of_a_leaf_keep_their_order_and_nothing_is_fine() -> None:
    assert round_robin([np.zeros(4, np.int64)]).tolist() == [0, 1, 2, 3]
    assert round_robin([np.zeros(0, np.int64)] * 2).tolist() == []
