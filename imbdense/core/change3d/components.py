"""Connected groups of points by density (DBSCAN: Ester, Kriegel, Sander & Xu, KDD 1996)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree


def density_components(points: NDArray[np.floating], eps: float, min_points: int = 8) -> NDArray[np.int64]:
    """Return the component (N,) of each of ``points`` (N, 3); -1 = noise. Components are numbered by first point.

    A point with at least ``min_points`` points within ``eps`` (itself counted) is dense; dense points within ``eps`` of
    each other are of one component; a point that is not dense takes the lowest component of the dense points within
    ``eps``, else it is noise. The result does not depend on the order of the points, but for the numbers.
    """
    size = len(points)
    label = np.full(size, -1, dtype=np.int64)
    if size == 0:
        return label
    pairs = cKDTree(points).query_pairs(eps, output_type='ndarray')
    dense = np.bincount(pairs.ravel(), minlength=size) + 1 >= min_points
    joined = pairs[dense[pairs].all(axis=1)]
    graph = coo_matrix((np.ones(len(joined), dtype=np.int8), (joined[:, 0], joined[:, 1])), shape=(size, size))
    component = connected_components(graph, directed=False)[1]
    kept = np.flatnonzero(dense)
    names, first, number = np.unique(component[kept], return_index=True, return_inverse=True)
    rank = np.empty(len(names), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(names))
    label[kept] = rank[number]
    nearest = np.where(dense, label, len(names))
    for here, there in ((0, 1), (1, 0)):
        border = pairs[~dense[pairs[:, here]] & dense[pairs[:, there]]]
        np.minimum.at(nearest, border[:, here], label[border[:, there]])
    label[nearest < len(names)] = nearest[nearest < len(names)]
    return label
