"""The rows nearest to the centroids."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.selection import KMeansSelector, kmeans
from tests.helpers.selection_pools import pool_of

BLOBS = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 50.0, 51.0, 52.0, 90.0])


def test_centre_of_each_cluster_largest_first() -> None:
    result = KMeansSelector(normalize=False)(pool_of(BLOBS), 3)
    assert result.images.tolist() == [2, 6, 8]
    assert [choice.rule for choice in result.choices] == ['centre'] * 3
    assert len({choice.cluster for choice in result.choices}) == 3


def test_clusters_with_labelled_rows_come_last() -> None:
    result = KMeansSelector(normalize=False)(pool_of(BLOBS), 2, selected=[1])
    assert result.images.tolist() == [6, 8]


def test_next_nearest_follows_when_images_repeat() -> None:
    """Both centres lie on image 0: the second cluster's next object decides."""
    pool = pool_of([1.0, 51.0, 0.9, 51.2], [0, 0, 1, 2])
    result = KMeansSelector(normalize=False)(pool, 2)
    clusters = kmeans(pool.obj_feat, 2, seed=0)
    assert len(result) == 2 and len(clusters.centroids) == 2 and len(set(result.images.tolist())) == 2


def test_max_iter_is_checked() -> None:
    with pytest.raises(ValueError, match='max_iter'):
        KMeansSelector(max_iter=-1)
