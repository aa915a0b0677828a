"""Principal axes from blocks are those of all rows."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.selection import StreamingPCA


def test_blocks_equal_svd_with_a_large_mean() -> None:
    rng = np.random.default_rng(0)
    rows = 1000 + rng.normal(size=(200, 5)) * [5, 3, 2, 1, 0.1]
    pca = StreamingPCA(5)
    for block in np.array_split(rows, 7):
        pca.add(block)
    mean, axes = pca.axes(3)
    expected = np.linalg.svd(rows - rows.mean(0))[2][:3].T
    expected = expected * np.sign(expected[np.abs(expected).argmax(0), range(3)])
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-6)
    np.testing.assert_allclose(axes, expected, atol=1e-5)


def test_edges() -> None:
    pca = StreamingPCA(4)
    assert pca.axes(2)[1].shape == (4, 0)
    pca.add(np.array([[np.nan, 0, 0, 0], [np.inf, 1, 1, 1]]))
    assert pca.rows == 0
    pca.add(np.arange(8.0).reshape(2, 4))
    assert pca.rows == 2 and pca.axes(9)[1].shape == (4, 2)
    with pytest.raises(ValueError, match='components must be an integer'):
        pca.axes(0)
