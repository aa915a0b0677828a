"""Small patches go to their largest neighbour, however the rows are cut into bands."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import label as connected

from imbdense.data.raster.patch_merge import PatchMerge


def merged(labels: np.ndarray, part: np.ndarray, least: float, rows: int, weights: np.ndarray | None = None
           ) -> np.ndarray:
    weights = np.ones(len(labels)) if weights is None else weights
    merge = PatchMerge(least)
    bands = [slice(top, top + rows) for top in range(0, len(labels), rows)]
    for band in bands:
        merge.count(labels[band], part[band], weights[band])
    merge.finish()
    return np.concatenate([merge.apply(labels[band], part[band]) for band in bands])


def slow(labels: np.ndarray, part: np.ndarray, least: float, weights: np.ndarray) -> np.ndarray:
    """The definition, patch by patch."""
    number = np.full(labels.shape, -1)
    count = 0
    for klass in np.unique(labels):
        found, some = connected((labels == klass) & part)
        number[found > 0] = found[found > 0] - 1 + count
        count += some
    area = np.array([weights[np.nonzero(number == k)[0]].sum() for k in range(count)])
    first = [int(np.flatnonzero(number == k)[0]) for k in range(count)]
    beside: list[set[int]] = [set() for _ in range(count)]
    for one, two in ((number[:-1], number[1:]), (number[:, :-1], number[:, 1:])):
        for a, b in zip(one.ravel().tolist(), two.ravel().tolist()):
            if a >= 0 and b >= 0 and a != b:
                beside[a].add(b)
                beside[b].add(a)
    result = labels.copy()
    for k in range(count):
        seen, now = {k}, k
        while area[now] < least and beside[now]:
            now = min(beside[now], key=lambda other: (-area[other], first[other]))
            if now in seen:
                break
            seen.add(now)
        if area[now] >= least:
            result[number == k] = labels.ravel()[first[now]]
    return result


def test_the_largest_neighbour_takes_a_patch_and_a_chain_is_followed() -> None:
    labels = np.array([[1, 1, 1, 1, 2, 3, 3, 4, 4, 4, 4]])
    part = np.ones_like(labels, bool)
    assert merged(labels, part, 3, 1).tolist() == [[1, 1, 1, 1, 1, 4, 4, 4, 4, 4, 4]]  # not 3 to 2, nor 2 to 3
    chain = np.array([[5, 6, 6, 7, 7, 7]])
    assert merged(chain, np.ones_like(chain, bool), 3, 1).tolist() == [[7, 7, 7, 7, 7, 7]]


def test_an_islet_of_small_patches_stays() -> None:
    labels = np.array([[9, 1, 2, 9, 3, 3, 3]])
    part = labels != 9
    assert merged(labels, part, 3, 1).tolist() == labels.tolist()


@pytest.mark.parametrize('seed', range(12))
def test_equals_the_definition_in_bands_of_any_height(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 24, 2)
    labels = rng.integers(0, rng.integers(2, 5), (height, width)).astype(np.uint16)
    if seed % 2:
        labels = labels.repeat(3, 0).repeat(2, 1)[:height, :width]
    part = rng.random((height, width)) < 0.9
    weights = np.ones(height) if seed % 3 else rng.integers(1, 4, height).astype(float)
    expected = slow(labels, part, 5, weights)
    for rows in (1, 2, 7, 100):
        found = merged(labels, part, 5, rows, weights)
        assert found.dtype == np.uint16 and np.array_equal(found, expected), rows


def test_a_patch_that_closes_far_below_is_one_patch() -> None:
    """A ring whose halves meet in the last band only."""
    labels = np.zeros((9, 9), np.uint8)
    labels[0, 1:8] = 1
    labels[:8, 1] = labels[:8, 7] = 1
    part = np.ones_like(labels, bool)
    assert np.array_equal(merged(labels, part, 20, 2), labels)  # 7 + 2 * 7 = 21 pixels
    assert not merged(labels, part, 22, 2).any()
