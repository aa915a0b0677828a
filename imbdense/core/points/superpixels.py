"""Superpixels: the super-voxels of an image, by the same shortest paths on the grid of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_number
from imbdense.core.points.geodesic import geodesic_labels


def superpixels(
    image: NDArray[Any], *, seed_size: float = 16.0, spatial: float = 0.4, colour: float = 4.0
) -> NDArray[np.int64]:
    """Connected parts of about ``seed_size`` x ``seed_size`` pixels that rather stop at an edge of colour.

    Neighbours (8) are joined by an edge of length ``spatial ||dxy|| / seed_size + colour ||dvalue||``; each pixel goes
    to the nearest seed. Seeds: a regular grid, each moved to the flattest of the nine pixels around it.

    Args:
        image: (H, W, B) or (H, W), values in [0, 1], finite; any number of bands.
        seed_size: >= 1, pixels. spatial: > 0. colour: >= 0, against ``spatial``: larger follows edges more closely.

    Returns:
        (H, W) int64, 0..S-1 row by row, every number occurs. Deterministic.
    """
    check_number('seed_size', seed_size, low=1.0, owner='superpixels')
    check_number('spatial', spatial, low=0.0, low_open=True, owner='superpixels')
    check_number('colour', colour, low=0.0, owner='superpixels')
    values = np.asarray(image, np.float64)
    values = values[..., None] if values.ndim == 2 else values
    if values.ndim != 3 or not np.isfinite(values).all() or values.min(initial=0) < 0 or values.max(initial=0) > 1:
        raise ValueError(f'superpixels: image must be (H, W, B) with values in [0, 1], but is {np.shape(image)} '
                         f'{np.asarray(image).dtype}; divide 8-bit images by 255.')  # fmt: skip
    height, width = values.shape[:2]
    number = np.arange(height * width).reshape(height, width)
    edges, weights = [], []
    for dy, dx in ((0, 1), (1, -1), (1, 0), (1, 1)):
        here = (slice(0, height - dy), slice(max(0, -dx), width - max(0, dx)))
        there = (slice(dy, height), slice(max(0, dx), width - max(0, -dx)))
        edges.append(np.stack([number[here].ravel(), number[there].ravel()], 1))
        step = np.linalg.norm(values[here] - values[there], axis=-1).ravel()
        weights.append(spatial * np.hypot(dy, dx) / seed_size + colour * step)
    seeds = _flat_seeds(values, seed_size)
    return geodesic_labels(height * width, np.concatenate(edges), np.concatenate(weights), seeds).reshape(height, width)


def _flat_seeds(values: NDArray[np.float64], seed_size: float) -> NDArray[np.int64]:
    """Centres of a regular grid of cells, each moved to the lowest gradient of its 3 x 3 neighbourhood."""
    height, width = values.shape[:2]
    slope = np.zeros((height, width))
    slope[:, 1:] += np.square(np.diff(values, axis=1)).sum(-1)
    slope[1:] += np.square(np.diff(values, axis=0)).sum(-1)
    rows, columns = (_centres(side, seed_size) for side in (height, width))
    y, x = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing='ij'))
    steps = [(dy, dx) for dy in (0, -1, 1) for dx in (0, -1, 1)]  # the centre first: it wins ties
    near_y = np.stack([(y + dy).clip(0, height - 1) for dy, _ in steps])
    near_x = np.stack([(x + dx).clip(0, width - 1) for _, dx in steps])
    best = slope[near_y, near_x].argmin(0)
    flat = near_y[best, np.arange(len(y))] * width + near_x[best, np.arange(len(y))]
    _, first = np.unique(flat, return_index=True)
    return np.asarray(flat[np.sort(first)], np.int64)


def _centres(side: int, seed_size: float) -> NDArray[np.int64]:
    """Middle pixels of round(side / seed_size) equal parts of an axis."""
    parts = max(1, round(side / seed_size)) if side else 0
    return ((np.arange(parts) + 0.5) * side / max(parts, 1)).astype(np.int64)
