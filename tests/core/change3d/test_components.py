"""Density components: against a slow DBSCAN, order, noise."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.change3d import density_components


def slow(points: np.ndarray, eps: float, minimum: int) -> np.ndarray:
    """The definition, by a walk from dense point to dense point."""
    near = np.linalg.norm(points[:, None] - points[None], axis=2) <= eps
    dense, label, number = near.sum(axis=1) >= minimum, np.full(len(points), -1), 0
    for start in range(len(points)):
        if not dense[start] or label[start] >= 0:
            continue
        walk = [start]
        while walk:
            here = walk.pop()
            if label[here] < 0:
                label[here] = number
                walk += np.flatnonzero(near[here] & dense).tolist()
        number += 1
    for border in np.flatnonzero(~dense):
        around = label[near[border] & dense]
        label[border] = around.min() if around.size else -1
    return label


@pytest.mark.parametrize('seed', range(3))
def test_equals_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.normal(centre, 0.6, (40, 3)) for centre in (0, 3, 9)] + [rng.uniform(-3, 12, (40, 3))])
    found = density_components(points, 0.8, 5)
    np.testing.assert_array_equal(found, slow(points, 0.8, 5))
    assert -1 in found and found.max() >= 1
    order = rng.permutation(len(points))
    shuffled = density_components(points[order], 0.8, 5)
    pairs = set(zip(found[order].tolist(), shuffled.tolist()))
    assert len(pairs) <= len(set(found.tolist())) + 3  # the same parts under other numbers (a border may choose anew)


def test_nothing_and_one_point() -> None:
    assert density_components(np.zeros((0, 3)), 1.0).shape == (0,)
    assert density_components(np.zeros((1, 3)), 1.0, 1).tolist() == [0]
    assert density_components(np.zeros((1, 3)), 1.0, 2).tolist() == [-1]
