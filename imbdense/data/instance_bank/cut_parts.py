"""Cut parts out of labelled clouds: instances where they are annotated, else connected points of one class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from imbdense.data.instance_bank.objects import BankObject

LINK = 1.0
"""Metres: points of a class in touching cells of this edge belong to one part."""
LARGEST = 30.0
"""Metres: what is wider than this is ground, forest or a row of houses, not a part to paste."""


def cut_parts(
    points: NDArray[np.float32],
    name: str,
    labels: NDArray[np.int64],
    num_classes: int,
    instances: NDArray[np.int64] | None = None,
    *,
    classes: Sequence[int] | None = None,
    min_points: int = 10,
    link: float = LINK,
    largest: float = LARGEST,
) -> Iterator[BankObject]:
    """Yield the parts of one cloud, class by class.

    Points with an instance (>= 0) are grouped by it; those of the class without one by connection. Ignored points (-1)
    belong to nothing.

    Args:
        points: (N, F) float32, x, y, z first; all columns are kept.
        name: of the scene.
        labels: (N,) class indices, -1 ignored. instances: (N,), -1 none.
        classes: only these; default all of [0, ``num_classes``).
        min_points: smaller parts are left out.
        link: edge in metres of the cells through which points are connected.
        largest: parts that are wider than this along x or y are left out.
    """
    for klass in range(num_classes) if classes is None else classes:
        members = np.flatnonzero(labels == klass)
        if members.size < min_points:
            continue
        group = connected_parts(points[members, :3], link)
        if instances is not None:
            own = instances[members]
            group = np.where(own >= 0, own, own.max(initial=-1) + 1 + group)
        order = np.argsort(group, kind='stable')
        for part in np.split(members[order], np.flatnonzero(np.diff(group[order])) + 1):
            low, high = points[part, :3].min(axis=0), points[part, :3].max(axis=0)
            if part.size < min_points or (high - low)[:2].max() > largest:
                continue
            box = (*((low + high) / 2).tolist(), *(high - low).tolist(), 0.0)
            yield BankObject(np.ascontiguousarray(points[part]), int(klass), name, box)


def connected_parts(xyz: NDArray[Any], link: float) -> NDArray[np.int64]:
    """(N,) number of the part of each point: points whose cells of edge ``link`` touch (26 neighbours) are connected.

    Points nearer than ``link`` are always connected, points farther apart than 3.5 * ``link`` never directly. Parts
    are numbered in the order of their smallest cell.
    """
    if len(xyz) == 0:
        return np.zeros(0, np.int64)
    cells, inverse = np.unique(np.floor(np.asarray(xyz, np.float64) / link).astype(np.int64), axis=0,
                               return_inverse=True)  # fmt: skip
    pairs = cKDTree(cells).query_pairs(1.75, output_type='ndarray')
    ones = np.ones(len(pairs), np.int8)
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(len(cells), len(cells)))
    return connected_components(graph, directed=False)[1].astype(np.int64)[inverse.reshape(-1)]
