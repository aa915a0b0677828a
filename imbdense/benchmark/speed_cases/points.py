"""Point clouds: voxel grids against open3d, neighbours against the same tree unordered, sparse against dense."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from imbdense.benchmark.speed_case import SpeedCase, Unequal, Workload, require_close
from imbdense.core.points import GridSample, grid_sample, nearest_neighbours
from imbdense.nn.sparse import SparsePoints, SubMConv3d

POINTS, VOXEL = 1_000_000, 0.3
NEIGHBOURS, SEARCHED = 16, 200_000
SIDE, CHANNELS = 96, 16
OPEN3D = 'open3d voxel_down_sample (means alone)'


def hills(count: int, seed: int = 0) -> NDArray[np.float64]:
    """Points (N, 3) of hilly ground with things up to 2 m on it, 100 points per m² at any ``count``, random order."""
    rng = np.random.default_rng(seed)
    points = rng.random((count, 3)) * [np.sqrt(count / 100), np.sqrt(count / 100), 2.0]
    points[:, 2] += 3 * (np.sin(points[:, 0] / 5) + np.cos(points[:, 1] / 7))
    return points


def _against_open3d(points: NDArray[np.float64], size: float) -> Workload:
    """Voxel of every point and mean per voxel, against the mean alone."""
    import open3d

    points = points - points.min(0) + size / 2  # open3d begins its grid half a voxel before the first point
    ours, cloud = torch.from_numpy(points), open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
    return Workload(lambda: grid_sample(ours, size), lambda: cloud.voxel_down_sample(size),
                    lambda found, peer: _same_means(found, np.asarray(peer.points), size))


def _same_means(found: GridSample, peer: NDArray[np.float64], size: float) -> str:
    """The peer's means, sorted by voxel, equal ours."""
    if len(found) != len(peer):
        raise Unequal(f'{len(found)} voxels, the peer has {len(peer)}')
    order = np.lexsort(np.floor(peer / size).T[::-1])
    return require_close('means', found.points.numpy(), peer[order], 1e-9)


def voxel_grid(scale: float) -> Workload:
    """Points spread evenly, nearly each in a voxel of its own."""
    count = int(POINTS * scale)
    return _against_open3d(np.random.default_rng(0).random((count, 3)), 1 / (8 * count) ** (1 / 3))


def voxel_grid_ground(scale: float) -> Workload:
    """Ground with things on it: nine points per column of voxels, in five of them on average."""
    return _against_open3d(hills(int(POINTS * scale)), VOXEL)


def neighbours(scale: float) -> Workload:
    """Sixteen neighbours of every point; the tree is built in both."""
    from scipy.spatial import cKDTree

    points = hills(int(SEARCHED * scale))
    return Workload(lambda: nearest_neighbours(points, NEIGHBOURS)[0],
                    lambda: cKDTree(points).query(points, NEIGHBOURS)[0],
                    lambda ours, peer: require_close('distances', ours, peer, 1e-12))


def convolution(scale: float) -> Workload:
    """One convolution, forward and backward with its kernel map, against the dense one over the same box."""
    side = int(SIDE * scale**0.5)
    place = torch.cartesian_prod(torch.arange(side), torch.arange(side)).double()
    height = 12 + 6 * (torch.sin(place[:, 0] / 9) + torch.cos(place[:, 1] / 7))
    coords = torch.unique(torch.cat([place, height.unsqueeze(1)], 1).long(), dim=0)
    torch.manual_seed(0)
    conv = SubMConv3d(CHANNELS, CHANNELS, bias=False)
    feats = torch.randn(len(coords), CHANNELS, requires_grad=True)
    place_of = (slice(None), coords[:, 0], coords[:, 1], coords[:, 2])

    def ours() -> Any:
        return step(conv(SparsePoints.from_samples([coords], [feats])).feats)

    def peer() -> Any:
        volume = torch.zeros(CHANNELS, side, side, 25).index_put(
            (torch.arange(CHANNELS)[:, None], *(axis.expand(CHANNELS, -1) for axis in coords.t())), feats.t())
        weight = conv.weight.reshape(3, 3, 3, CHANNELS, CHANNELS).permute(4, 3, 0, 1, 2)
        return step(F.conv3d(volume.unsqueeze(0), weight, padding=1)[0][place_of].t())

    def step(out: Tensor) -> tuple[Tensor, Tensor]:
        return out.detach(), torch.autograd.grad(out.square().sum(), [feats, conv.weight])[0]

    def check(one: Any, other: Any) -> str:
        require_close('values', one[0], other[0], 1e-4)
        return require_close('gradients', one[1], other[1], 1e-3)

    return Workload(ours, peer, check)


CASES = (
    SpeedCase('voxel-grid', 'voxel of each of 1 M even points, and means', OPEN3D, 0.06, voxel_grid, growth=5.5,
              peer_repeats=3),
    SpeedCase('voxel-grid-ground', f'the same for 1 M points of ground, {VOXEL} m', OPEN3D, 0.1, voxel_grid_ground,
              growth=5.5, peer_repeats=3),
    SpeedCase('point-neighbours', f'{NEIGHBOURS} neighbours of {SEARCHED // 1000} k points in random order',
              'SciPy cKDTree as they come', 0.45, neighbours, growth=5.5, peer_repeats=2, repeats=3),
    SpeedCase('sparse-conv', f'3³ convolution of a surface in {SIDE}²×25 voxels, {CHANNELS} channels, fwd + bwd',
              'dense conv3d over the box', 0.25, convolution, small=1.0),
)
