"""How many kinds of objects a class has."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, ward

from imbdense.core.selection.feature_rows import FeatureRows
from imbdense.core.selection.modes import effective_dimension, find_modes, ward_merges


def blobs(seed: int, sizes: list[int], spread: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """(features (n, 16), mode of each)."""
    rng = np.random.default_rng(seed)
    mode = np.repeat(np.arange(len(sizes)), sizes)
    centres = rng.normal(0, spread, (len(sizes), 16))
    return (centres[mode] + rng.normal(size=(len(mode), 16))).astype(np.float32), mode


@pytest.mark.parametrize('seed', range(4))
def test_modes_are_found_and_pure(seed: int) -> None:
    features, mode = blobs(seed, [60, 30, 15, 8])
    found = find_modes(FeatureRows(features))
    assert found.count == 4
    pairs = {(int(a), int(b)) for a, b in zip(mode, found.labels)}
    assert len(pairs) == 4
    assert found.share.sum() == pytest.approx(1) and sorted((found.share * 113).round()) == [8, 15, 30, 60]
    assert (found.of(FeatureRows(features)) == found.labels).all()


@pytest.mark.parametrize('count', [12, 40, 400])
def test_one_blob_is_one_mode(count: int) -> None:
    features, _ = blobs(0, [count])
    assert find_modes(FeatureRows(features)).count == 1


def test_more_rows_than_groups() -> None:
    features, mode = blobs(1, [600, 300, 40])
    found = find_modes(FeatureRows(features))
    most = sum(np.bincount(mode[found.labels == k]).max() for k in range(found.count))
    assert found.count == 3 and most >= 0.99 * len(mode)


def test_nothing_one_two_and_equal_objects() -> None:
    assert find_modes(FeatureRows(np.zeros((0, 3), np.float32))).count == 0
    for count in (1, 2, 7):
        found = find_modes(FeatureRows(np.ones((count, 3), np.float32)))
        assert found.count >= 1 and len(found.labels) == count
    assert find_modes(FeatureRows(blobs(0, [30, 30, 30])[0]), max_modes=2).count == 2


def test_merging_against_scipy() -> None:
    features, _ = blobs(3, [9, 7, 5, 4])
    tree = ward(features.astype(np.float64))
    for labels, _ in ward_merges(features.astype(np.float64), np.ones(25)):
        clusters = labels.max() + 1
        other = fcluster(tree, clusters, criterion='maxclust')
        assert len({(int(a), int(b)) for a, b in zip(labels, other)}) == clusters


def test_added_inertia_sums_up() -> None:
    features = blobs(4, [9, 7])[0].astype(np.float64)
    size = np.arange(1.0, 17.0)
    total = sum(added for _, added in ward_merges(features, size))
    mean = (features * size[:, None]).sum(0) / size.sum()
    assert total == pytest.approx(float((size[:, None] * (features - mean) ** 2).sum()))


def test_effective_dimension() -> None:
    rng = np.random.default_rng(0)
    flat = np.zeros((3000, 20), np.float32)
    flat[:, :3] = rng.normal(size=(3000, 3))
    assert effective_dimension(FeatureRows(flat)) == pytest.approx(3, rel=0.02)
    assert effective_dimension(FeatureRows(np.ones((5, 4), np.float32))) == 1.0
