"""C2C: distance of every point to the nearest point of the other epoch."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from imbdense.core.change3d.checks import check_overlap, check_xyz
from imbdense.core.change3d.radius_pairs import leaf_order


def cloud_to_cloud(
    reference: ArrayLike, compared: ArrayLike, *, max_distance: float = np.inf, workers: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return (distance (N,), index (N,)) of the point of ``reference`` (M, 3) nearest to each of ``compared`` (N, 3).

    Distances are >= 0 metres, without sign and without level of detection: noise and density alone make them positive.
    Beyond ``max_distance`` the distance is infinite and the index -1.

    Raises:
        CloudError: a cloud is empty or not finite, or the two do not overlap.
    """
    first, second = check_xyz('reference', reference), check_xyz('compared', compared)
    check_overlap(first, second, ('reference', 'compared'), margin=max_distance if np.isfinite(max_distance) else 0.0)
    order = leaf_order(second)
    found, nearest = cKDTree(first).query(second[order], distance_upper_bound=max_distance, workers=workers)
    distance, index = np.empty(len(second)), np.empty(len(second), dtype=np.int64)
    distance[order] = found
    index[order] = np.where(np.isfinite(found), nearest, -1)
    return distance, index
