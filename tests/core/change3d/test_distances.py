"""Cloud to cloud and differences of surface models."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.change3d import CloudError, cloud_to_cloud, dsm_difference


def test_cloud_to_cloud_equals_all_pairs() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.uniform(0, 10, (200, 3)), rng.uniform(0, 10, (150, 3))
    distance, index = cloud_to_cloud(first, second)
    pairs = np.linalg.norm(second[:, None] - first[None], axis=2)
    np.testing.assert_allclose(distance, pairs.min(axis=1))
    np.testing.assert_array_equal(index, pairs.argmin(axis=1))
    near, index = cloud_to_cloud(first, second, max_distance=0.5)
    assert (np.isinf(near) == (pairs.min(axis=1) > 0.5)).all() and (index[np.isinf(near)] == -1).all()
    with pytest.raises(CloudError, match='compared holds no point'):
        cloud_to_cloud(first, second[:0])
    with pytest.raises(CloudError, match='do not overlap'):
        cloud_to_cloud(first, second + 1000)


def test_surface_difference_by_hand() -> None:
    first = np.array([[0.5, 0.5, 1.0], [0.6, 0.6, 3.0], [1.5, 0.5, 2.0], [0.5, 1.5, 7.0]])
    second = np.array([[0.4, 0.4, 4.0], [1.5, 0.5, 1.0], [1.5, 1.5, 9.0]])
    found = dsm_difference(first, second, 1.0)
    assert found.difference.shape == (2, 2) and (found.west, found.north) == (0.0, 2.0)
    np.testing.assert_array_equal(found.difference[1], [1.0, -1.0])  # the southern row: 4 - 3 and 1 - 2
    assert np.isnan(found.difference[0]).all()  # one epoch has no point there
    np.testing.assert_array_equal(found.at([[0.1, 0.1, 0], [1.9, 0.9, 0], [5, 5, 0]]), [1.0, -1.0, np.nan])


def test_surfaces_keep_every_point_and_grids_fit_together() -> None:
    rng = np.random.default_rng(1)
    first = rng.integers(0, 20, (300, 3)).astype(float)  # on the borders of cells
    found = dsm_difference(first, first, 0.5)
    assert np.nanmax(np.abs(found.difference)) == 0
    assert np.nanmax(found.surface1) == first[:, 2].max() and not np.isnan(found.at(first)).any()
    assert found.west % 0.5 == 0 and found.north % 0.5 == 0
    with pytest.raises(ValueError, match='choose a larger cell'):
        dsm_difference(first, first, 1e-4)
