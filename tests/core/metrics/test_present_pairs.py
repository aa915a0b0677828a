"""Pairs of values of two maps: equal to np.unique over pairs, by every way it is counted."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.metrics import byte_table, present_pairs
from imbdense.core.metrics.present_pairs import count_present_pairs


def slow(rows: np.ndarray, columns: np.ndarray) -> list[np.ndarray]:
    pairs, counts = np.unique(np.stack([rows, columns], axis=1), axis=0, return_counts=True)
    return [pairs[:, 0], pairs[:, 1], counts]


@pytest.mark.parametrize('numba', [True, False])
@pytest.mark.parametrize(('limit', 'pixels'), [(3, 50), (578, 4000), (578, 90_000), (64_518, 9000)])
def test_equals_unique_pairs(limit: int, pixels: int, numba: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few values, a byte of them, more, and so many that pairs are sorted."""
    if not numba:
        monkeypatch.setattr(present_pairs, '_kernels', lambda: None)
        monkeypatch.setattr(byte_table, 'numba_kernels', lambda: None)
    rng = np.random.default_rng(pixels)
    rows, columns = rng.integers(0, limit, (2, pixels)).astype(np.int16 if limit < 1000 else np.int32)
    for given in ((rows, columns), (rows % 7, columns), (rows, columns % 7)):
        for found, expected in zip(count_present_pairs(*given, limit), slow(*given)):
            assert found.dtype == np.int64
            np.testing.assert_array_equal(found, expected)


def test_a_table_larger_than_the_maps_is_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows, columns = rng.permutation(60_000).astype(np.int32), rng.permutation(60_000).astype(np.int32)
    monkeypatch.setattr(present_pairs.np, 'bincount', lambda *_, **__: pytest.fail('3.6 billion cells'))
    assert count_present_pairs(rows, columns, 64_518)[2].tolist() == [1] * 60_000


def test_empty_maps() -> None:
    none = np.zeros(0, np.int32)
    assert all(part.size == 0 for part in count_present_pairs(none, none, 9))
