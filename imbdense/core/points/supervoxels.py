"""Super-voxels: parts of a cloud that are one surface of one colour, found without labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_integer, check_number
from imbdense.core.points.felzenszwalb import felzenszwalb_labels
from imbdense.core.points.geodesic import components, geodesic_labels
from imbdense.core.points.voxel_graph import VoxelGraph, voxel_graph

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Importance:
    """What makes two voxels differ: ``D = spatial ||dxyz|| / seed + colour ||drgb|| + normal (1 - |n n'|)``.

    rgb in [0, 1]; dxyz and seed in one unit. The defaults are those used for S3DIS with VCCS.
    """

    spatial: float = 0.4
    normal: float = 1.0
    colour: float = 0.2

    def __post_init__(self) -> None:
        check_number('spatial', self.spatial, low=0.0, low_open=True, owner='Importance')
        for name in ('normal', 'colour'):
            check_number(name, getattr(self, name), low=0.0, owner='Importance')


def geodesic_supervoxels(
    xyz: NDArray[Any], colours: NDArray[Any] | None = None, *, voxel_size: float, seed_size: float,
    importance: Importance = Importance(),
) -> Labels:  # fmt: skip
    """Super-voxels of about ``seed_size``, each the voxels nearest to its seed along the surface.

    Voxels are nodes, those that touch are joined by an edge of length D (:class:`Importance`), and every voxel goes to
    the seed with the shortest path. Seeds: in each occupied cube of side ``seed_size`` the voxel nearest to the mean of
    its voxels, one of every connected piece of the cloud that the cube holds. A super-voxel is connected, never crosses
    a gap, and rather stops at an edge of shape or colour.

    Args:
        xyz: (N, 3) metres, finite. colours: (N, 3) in [0, 1], or ``None`` = shape alone.
        voxel_size, seed_size: metres, 0 < voxel_size <= seed_size.

    Returns:
        (N,) int64, 0..S-1, numbered by cell; every number occurs. Deterministic; the order of the points does not
        matter (but for the last bits of means).

    Source: the distance of VCCS (Papon et al., CVPR 2013); the shortest paths in place of its local k-means are ours.
    """
    check_number('voxel_size', voxel_size, low=0.0, low_open=True, owner='geodesic_supervoxels')
    check_number('seed_size', seed_size, low=voxel_size, owner='geodesic_supervoxels')
    graph = voxel_graph(xyz, voxel_size)
    seed = seed_size / voxel_size
    weights = _differences(graph, colours, seed, importance)
    labels = geodesic_labels(len(graph), graph.edges, weights, _seed_voxels(graph, seed))
    return relabel(labels[graph.voxel_of_point])


def felzenszwalb_supervoxels(
    xyz: NDArray[Any], colours: NDArray[Any] | None = None, *, voxel_size: float, scale: float = 0.05,
    min_size: int = 20, importance: Importance = Importance(),
) -> Labels:  # fmt: skip
    """Super-voxels of any size: voxels are merged while they differ less than their parts do inside.

    The graph of :func:`geodesic_supervoxels` (lengths in voxels), cut by :func:`felzenszwalb_labels`.

    Args:
        xyz, colours, voxel_size: as there. scale: k >= 0, larger = larger parts. min_size: voxels of the smallest part
            that is not merged with its nearest neighbour (a part without any neighbour stays).
    """
    check_number('voxel_size', voxel_size, low=0.0, low_open=True, owner='felzenszwalb_supervoxels')
    graph = voxel_graph(xyz, voxel_size)
    weights = _differences(graph, colours, 1.0, Importance(1e-9, importance.normal, importance.colour))
    labels = felzenszwalb_labels(len(graph), graph.edges, weights, scale=scale, min_size=min_size)
    return relabel(labels[graph.voxel_of_point])


def grid_supervoxels(xyz: NDArray[Any], *, seed_size: float) -> Labels:
    """Cubes of side ``seed_size``: (N,) int64, numbered by cell. The baseline."""
    check_number('seed_size', seed_size, low=0.0, low_open=True, owner='grid_supervoxels')
    return relabel(voxel_graph(xyz, seed_size).voxel_of_point)


def relabel(labels: NDArray[np.integer[Any]], drop_threshold: int = 0) -> Labels:
    """Number the parts 0..S-1 in the order of their old numbers; -1 stays, and so become parts with fewer than
    ``drop_threshold`` points."""
    check_integer('drop_threshold', drop_threshold, low=0, owner='relabel')
    values, inverse, counts = np.unique(np.asarray(labels, np.int64), return_inverse=True, return_counts=True)
    kept = (values >= 0) & (counts >= drop_threshold)
    number = np.where(kept, np.cumsum(kept) - 1, -1)
    return np.asarray(number[inverse.reshape(-1)], np.int64)


@dataclass(frozen=True)
class SupervoxelQuality:
    """How good parts are for labels that they were not made from.

    Attributes:
        number: S. mean_size: points per part.
        purity: mean over the parts with labelled points of the share of their commonest class.
        oracle_miou: mean IoU if every part were given its commonest class, over the classes that occur: no method
            that labels whole parts can be better.
        uncovered: share of the labelled points in no part.
    """

    number: int
    mean_size: float
    purity: float
    oracle_miou: float
    uncovered: float


def supervoxel_quality(labels: NDArray[Any], truth: NDArray[Any], *, ignore_index: int = -1) -> SupervoxelQuality:
    """Compare parts (N,) with classes (N,); points with ``ignore_index`` do not count, points of part -1 are missed.

    NaN for purity, oracle mIoU and uncovered where nothing is labelled.
    """
    labels, truth = np.asarray(labels, np.int64), np.asarray(truth, np.int64)
    if labels.shape != truth.shape:
        raise ValueError(f'supervoxel_quality: labels {labels.shape} and truth {truth.shape} must have one length.')
    number = int(labels.max(initial=-1)) + 1
    mean_size = float((labels >= 0).sum() / number) if number else 0.0
    counted = truth != ignore_index
    if not counted.any():
        return SupervoxelQuality(number, mean_size, *[float('nan')] * 3)
    classes = int(truth[counted].max()) + 1
    rows = np.where(labels[counted] >= 0, labels[counted], number)  # the last row: in no part
    table = np.bincount(rows * classes + truth[counted], minlength=(number + 1) * classes).reshape(-1, classes)
    inside = table[:number]
    sized = inside.sum(1) > 0
    purity = float((inside.max(1)[sized] / inside.sum(1)[sized]).mean()) if sized.any() else float('nan')
    chosen = inside.argmax(1)
    hit = np.bincount(chosen, inside.max(1), minlength=classes)
    given = np.bincount(chosen, inside.sum(1), minlength=classes)
    total = table.sum(0)
    present = total > 0
    iou = hit[present] / (total + given - hit)[present]
    return SupervoxelQuality(number, mean_size, purity, float(iou.mean()), float(table[number].sum() / table.sum()))


def _differences(
    graph: VoxelGraph, colours: NDArray[Any] | None, seed: float, importance: Importance
) -> NDArray[np.float64]:
    """D of every edge."""
    first, second = graph.edges.T
    total = importance.spatial * np.linalg.norm(graph.centre[first] - graph.centre[second], axis=1) / seed
    total = np.maximum(total, 1e-12)  # centres of two voxels can coincide on their common face
    if importance.normal > 0 and len(graph):
        normal = graph.normals()
        total += importance.normal * (1 - np.abs((normal[first] * normal[second]).sum(1))).clip(0)
    if colours is not None and importance.colour > 0 and len(graph):
        colours = np.asarray(colours, np.float64)
        if colours.ndim != 2 or len(colours) != len(graph.voxel_of_point):
            raise ValueError(f'super-voxels: colours must be (N, 3) like the points, but are {colours.shape}.')
        if not np.isfinite(colours).all() or colours.min() < 0 or colours.max() > 1:
            raise ValueError('super-voxels: colours must lie in [0, 1]; divide 8-bit ones by 255, 16-bit ones by '
                             '65535.')
        mean = graph.means(colours)
        total += importance.colour * np.linalg.norm(mean[first] - mean[second], axis=1)
    return np.asarray(total)


def _seed_voxels(graph: VoxelGraph, seed: float) -> Labels:
    """In each occupied cube of ``seed`` voxels, and of each piece in it, the voxel nearest to the mean; the lowest one
    on ties."""
    if len(graph) == 0:
        return np.zeros(0, np.int64)
    centre, piece = graph.centre, components(len(graph), graph.edges)
    cube = voxel_graph(centre, seed).voxel_of_point
    _, cells = np.unique(cube * (int(piece.max()) + 1) + piece, return_inverse=True)
    cells = cells.reshape(-1)
    mean = np.stack([np.bincount(cells, centre[:, k]) for k in range(3)], 1) / np.bincount(cells)[:, None]
    distance = np.square(centre - mean[cells]).sum(1)
    order = np.lexsort((np.arange(len(centre)), distance, cells))
    _, first = np.unique(cells[order], return_index=True)
    return np.asarray(order[first], np.int64)
