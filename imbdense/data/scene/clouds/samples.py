"""Points of one image, binned: one sample per voxel, class and instance, so that an image costs what it covers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene.classes import VOID

_BITS = 21
_HALF = 1 << (_BITS - 1)
SAMPLE = np.dtype([('voxel', '<i8'), ('place', '<f4', 3), ('rgb', 'u1', 3), ('semantic', 'u1'), ('instance', '<u2'),
                   ('pixels', '<u2'), ('sigma', '<f4')])
"""``voxel``: packed index, x slowest; ``place``: mean position inside the voxel in [0, 1)³; ``rgb``: mean colour;
``pixels``: number of pixels; ``sigma``: mean depth noise in m."""
Samples = NDArray[np.void]


def pack_voxels(index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one int64 key per voxel index (N, 3), 21 bits per axis, ordered by x, then y, then z.

    Raises:
        ValueError: an index outside [-2²⁰, 2²⁰).
    """
    if index.size and (int(index.min()) < -_HALF or int(index.max()) >= _HALF):
        raise ValueError(f'a voxel index lies outside [-2^20, 2^20): {int(index.min())} to {int(index.max())}; '
                         f'choose a larger voxel.')
    shifted = index + _HALF
    return (shifted[:, 0] << 2 * _BITS) | (shifted[:, 1] << _BITS) | shifted[:, 2]


def unpack_voxels(key: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices (N, 3) of packed keys (N,)."""
    mask = (1 << _BITS) - 1
    return np.stack([key >> 2 * _BITS, (key >> _BITS) & mask, key & mask], axis=1) - _HALF


def bin_samples(point: NDArray[np.float32], rgb: NDArray[np.uint8], semantic: NDArray[np.uint8],
                instance: NDArray[np.uint16], sigma: NDArray[np.float32], voxel: float) -> Samples:
    """Return the samples (M,) of pixels (N,), sorted by voxel, then class, then instance; M = 0 for N = 0.

    Pixels of different labels in one voxel stay apart, so that the vote over all images counts every pixel. Void
    pixels must not be among them.
    """
    if bool((semantic == VOID).any()):
        raise ValueError('bin_samples takes pixels that met something; class 255 is among them.')
    scaled = point.astype(np.float64) / voxel
    index = np.floor(scaled).astype(np.int64)
    key = pack_voxels(index)
    label = semantic.astype(np.int64) << 16 | instance
    order = np.lexsort((label, key))
    key, label = key[order], label[order]
    first = np.flatnonzero(np.r_[True, (key[1:] != key[:-1]) | (label[1:] != label[:-1])]) if len(key) else \
        np.empty(0, np.int64)
    samples = np.empty(len(first), SAMPLE)
    if len(first) == 0:
        return samples
    count = np.diff(np.r_[first, len(key)])
    samples['voxel'], samples['semantic'], samples['instance'] = key[first], label[first] >> 16, label[first] & 0xFFFF
    samples['place'] = np.add.reduceat((scaled - index)[order], first, axis=0) / count[:, None]
    samples['rgb'] = np.rint(np.add.reduceat(rgb[order].astype(np.float32), first, axis=0) / count[:, None])
    samples['sigma'] = np.add.reduceat(sigma[order].astype(np.float64), first) / count
    samples['pixels'] = np.minimum(count, 65535)
    return samples
