"""Noise fields: spectral fractal noise for terrain, hash-based value noise for textures (no texture files)."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

TILE_SIZE = 512


def spectral_fbm(size: int, hurst: float, rng: np.random.Generator, *, cutoff: float = 0.0) -> NDArray[np.float64]:
    """Return a fractal height field (size, size) scaled to [0, 1].

    White noise is filtered in the frequency domain with ``|f|^(-hurst-1)``; wavelengths longer than ``1/cutoff``
    cells (cycles per cell) are left out. A field of one value becomes all 0.
    """
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    gain = np.zeros_like(frequency)
    passed = frequency > max(cutoff, 0.0)
    gain[passed] = frequency[passed] ** (-hurst - 1.0)
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size, size))) * gain, s=(size, size))
    low, high = float(field.min()), float(field.max())
    return (field - low) / (high - low) if high > low else np.zeros_like(field)


def _hash01(x: NDArray[np.uint32], y: NDArray[np.uint32], salt: int) -> NDArray[np.float32]:
    """Integer lattice point → pseudo-random number in [0, 1): a multiply–xor–shift mix."""
    value = x * np.uint32(0x9E3779B1) ^ y * np.uint32(0x85EBCA77) ^ np.uint32(salt * 0xC2B2AE3D & 0xFFFFFFFF)
    value = (value ^ value >> np.uint32(15)) * np.uint32(0x2C1B3C6D)
    value = (value ^ value >> np.uint32(12)) * np.uint32(0x297A2D39)
    return ((value ^ value >> np.uint32(15)) >> np.uint32(8)).astype(np.float32) / np.float32(2**24)


@functools.lru_cache(maxsize=8)
def value_noise_tile(salt: int = 0, cells: int = 128, octaves: int = 3) -> NDArray[np.float32]:
    """Return a periodic tile (512, 512) of value noise with zero mean and unit standard deviation.

    ``octaves`` lattices of ``cells, cells/2, ...`` cells per side, amplitude doubling as the lattice coarsens, bilinear
    with a smoothstep. Sampling a tile by index costs one gather per point where evaluating the noise costs dozens of
    operations.
    """
    total = np.zeros((TILE_SIZE, TILE_SIZE), np.float32)
    for octave in range(octaves):
        count = max(cells >> octave, 2)
        position = np.arange(TILE_SIZE, dtype=np.float32) * (count / TILE_SIZE)
        low = np.floor(position).astype(np.uint32)
        fraction = position - low
        fraction = fraction * fraction * (3 - 2 * fraction)
        high = (low + 1) % count
        corner = [_hash01(a[:, None], b[None, :], salt + 101 * octave) for a in (low, high) for b in (low, high)]
        along, across = fraction[None, :], fraction[:, None]
        top = corner[0] * (1 - along) + corner[1] * along
        bottom = corner[2] * (1 - along) + corner[3] * along
        total += (top * (1 - across) + bottom * across) * np.float32(2**octave)
    total -= total.mean()
    total /= total.std()
    total.setflags(write=False)
    return total


def sample_tile(tile: NDArray[np.float32], u: NDArray[np.float32], v: NDArray[np.float32],
                texel: float) -> NDArray[np.float32]:
    """Return ``tile`` at the metric coordinates ``(u, v)`` (any equal shape), nearest texel, periodic; texel in m."""
    scale = np.float32(1.0 / texel)
    row = np.floor(v * scale).astype(np.int32) & (TILE_SIZE - 1)
    column = np.floor(u * scale).astype(np.int32) & (TILE_SIZE - 1)
    return tile.reshape(-1)[row * TILE_SIZE + column]
