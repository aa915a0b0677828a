"""Superpixels: a colour edge, connectivity, determinism."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import label

from imbdense.core.points import superpixels


def test_parts_follow_an_edge_are_connected_and_cover_everything() -> None:
    image = np.zeros((48, 64, 3))
    image[:, 27:] = 0.8  # between the borders of the grid
    parts = superpixels(image, seed_size=12)
    assert parts.shape == (48, 64) and np.array_equal(np.unique(parts), np.arange(parts.max() + 1))
    assert not set(parts[:, :27].ravel().tolist()) & set(parts[:, 27:].ravel().tolist())
    assert all(label(parts == k, np.ones((3, 3)))[1] == 1 for k in range(parts.max() + 1))
    assert np.array_equal(parts, superpixels(image, seed_size=12))
    assert 15 <= parts.max() + 1 <= 25


def test_bands_and_bad_input() -> None:
    grey = np.random.default_rng(0).random((20, 30))
    assert np.array_equal(superpixels(grey, seed_size=8), superpixels(grey[..., None], seed_size=8))
    assert superpixels(np.zeros((3, 2, 7)), seed_size=50).max() == 0
    with pytest.raises(ValueError, match='divide 8-bit'):
        superpixels(np.full((4, 4, 3), 255, np.uint8))
