"""Occupied voxels of a cloud as a graph: which touch, and how much they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from imbdense.core.points.grid_sample import grid_sample
from imbdense.core.points.voxel_keys import voxel_keys

Floats = NDArray[np.float64]
_HALF = [(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) > (0, 0, 0)]
"""Half of the 26 neighbours; the other half follows by symmetry."""


@dataclass(frozen=True, eq=False)
class VoxelGraph:
    """M occupied voxels, in the order of their cell (x, then y, then z), whatever the order of the points.

    Attributes:
        voxel_of_point: (N,) int64.
        centre: (M, 3) float64, mean of the points of each voxel, in voxel lengths.
        edges: (E, 2) int64, pairs of voxels that touch by a face, an edge or a corner, each once.
    """

    voxel_of_point: NDArray[np.int64]
    centre: Floats
    edges: NDArray[np.int64]

    def __len__(self) -> int:
        """M."""
        return len(self.centre)

    def means(self, values: NDArray[Any]) -> Floats:
        """(M, k) mean over the points of each voxel of (N, k) values."""
        return voxel_means(values, self.voxel_of_point, len(self))

    def normals(self, passes: int = 2) -> Floats:
        """(M, 3) unit normals by principal components of the voxels at most ``passes`` steps away; no orientation."""
        ones, both = np.ones(2 * len(self.edges) + len(self)), np.arange(len(self))
        rows = np.concatenate([self.edges[:, 0], self.edges[:, 1], both])
        columns = np.concatenate([self.edges[:, 1], self.edges[:, 0], both])
        near = csr_matrix((ones, (rows, columns)), shape=(len(self), len(self)))
        x = self.centre - self.centre.mean(0)
        i, j = np.triu_indices(3)
        moments = np.concatenate([np.ones((len(x), 1)), x, x[:, i] * x[:, j]], axis=1)
        for _ in range(passes):
            moments = near @ moments
        mean = moments[:, 1:4] / moments[:, :1]
        covariance = np.zeros((len(x), 3, 3))
        covariance[:, i, j] = moments[:, 4:] / moments[:, :1] - mean[:, i] * mean[:, j]
        _, vectors = np.linalg.eigh(covariance, UPLO='U')
        return np.asarray(vectors[:, :, 0])


def voxel_graph(xyz: NDArray[Any], voxel_size: float) -> VoxelGraph:
    """Sort N points into cubes of side ``voxel_size`` and join the cubes that touch (26 neighbours).

    Args:
        xyz: (N, 3) finite, in metres; N may be 0.
        voxel_size: > 0, in metres.

    Raises:
        ValueError: NaN or infinite coordinates, or more than 2^62 cells between the outermost points.
    """
    xyz = np.asarray(xyz, np.float64)
    grid = grid_sample(torch.from_numpy(xyz), voxel_size)
    if len(grid) == 0:
        return VoxelGraph(grid.inverse.numpy(), np.zeros((0, 3)), np.zeros((0, 2), np.int64))
    cells = voxel_keys(grid.coords.unbind(1), margin=1, owner='voxel_graph')
    keys = cells.keys.numpy()  # rising, as the voxels are in the order of their cells
    pairs = []
    for offset in _HALF:
        wanted = keys + cells.shift(offset)
        place = np.searchsorted(keys, wanted).clip(0, len(keys) - 1)
        found = np.flatnonzero(keys[place] == wanted)
        pairs.append(np.stack([found, place[found]], 1))
    return VoxelGraph(grid.inverse.numpy(), grid.points.numpy() / voxel_size, np.concatenate(pairs))


def voxel_means(values: NDArray[Any], voxel: NDArray[np.int64], count: int) -> Floats:
    """(count, k) mean of the rows of (N, k) ``values`` with each number in ``voxel`` (N,); every number occurs."""
    size = np.bincount(voxel, minlength=count)
    sums = [np.bincount(voxel, values[:, k], count) for k in range(values.shape[1])]
    return np.stack(sums, 1) / size[:, None] if sums else np.zeros((count, 0))
