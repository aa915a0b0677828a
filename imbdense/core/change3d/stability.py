"""Hand-crafted features of a pair of epochs (de Gélis, Corpetti & Lefèvre, IEEE TGRS 2024, arXiv 2304.12639)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.floating]


def stability(points: Floats, other: Floats, radius: float) -> NDArray[np.float32]:
    """(N,) in [0, 1]: points of the other epoch in the sphere / in the vertical cylinder of that radius round a point.

    Near 1 where the other epoch has the same single surface; 0 where all it has there lies elsewhere in height, and
    where it has nothing at all.
    """
    if len(points) == 0 or len(other) == 0:
        return np.zeros(len(points), dtype=np.float32)
    sphere = cKDTree(other).query_ball_point(points, radius, return_length=True)
    cylinder = cKDTree(other[:, :2]).query_ball_point(points[:, :2], radius, return_length=True)
    return (sphere / np.maximum(cylinder, 1)).astype(np.float32)


def height_above_lowest(points: Floats, ground: Floats, cell: float) -> NDArray[np.float32]:
    """(N,) metres above the lowest of the ``ground`` points (M, 3) in the same cell of edge ``cell`` in x and y.

    A point whose cell has no ground point is compared with the lowest point of all its own cell.
    """
    if len(points) == 0:
        return np.zeros(0, dtype=np.float32)
    everything = np.concatenate([points, ground])
    cells = np.floor(everything[:, :2] / cell).astype(np.int64)
    number = np.unique(cells, axis=0, return_inverse=True)[1].reshape(-1)
    lowest = np.full(int(number.max()) + 1, np.inf)
    np.minimum.at(lowest, number, everything[:, 2])
    return (points[:, 2] - lowest[number[: len(points)]]).astype(np.float32)
