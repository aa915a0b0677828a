"""Bins of equally many members: by hand, against a slow reference, ties and small clusters."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.selection.equal_frequency import equal_frequency_bins


def test_by_hand() -> None:
    distances = np.array([0.1, 0.2, 0.3, 0.5, 0.8, 1.3, 2.1])
    assert equal_frequency_bins(distances, np.zeros(7, np.int64), 3).tolist() == [0, 0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize('bins', [1, 3, 5])
def test_against_a_slow_reference(bins: int) -> None:
    rng = np.random.default_rng(0)
    clusters = rng.choice([0, 1, 2, 7], 200, p=[0.6, 0.3, 0.08, 0.02])
    distances = np.round(rng.exponential(size=200), 1)
    found = equal_frequency_bins(distances, clusters, bins)
    for cluster in np.unique(clusters):
        rows = np.flatnonzero(clusters == cluster).tolist()
        rows.sort(key=lambda row: (distances[row], row))
        sizes = [len(rows) // bins + (b < len(rows) % bins) for b in range(bins)]
        expected = [b for b, size in enumerate(sizes) for _ in range(size)]
        assert found[rows].tolist() == expected


def test_fewer_members_than_bins_and_ties_by_row() -> None:
    assert equal_frequency_bins(np.array([2.0, 1.0]), np.zeros(2, np.int64), 5).tolist() == [1, 0]
    assert equal_frequency_bins(np.zeros(5), np.zeros(5, np.int64), 5).tolist() == [0, 1, 2, 3, 4]
    assert equal_frequency_bins(np.zeros(0), np.zeros(0, np.int64), 5).tolist() == []
