"""FRACAL: rebalance by how often a class occurs and by how evenly its objects fill the image plane."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.core.checks import check_integer, check_number
from imbdense.core.inference.calibration import LogitCalibration

Floats = NDArray[np.float64]
LEAST_OBJECTS = 4
LARGEST_GRID = 64
"""Finest grid that is counted, as in the released code: 64 x 64 cells."""


def box_counting_dimension(points: ArrayLike) -> float:
    """Fractal (box-counting) dimension of object centres in the image plane, in [1, 2].

    For the grids g = 1 .. 64 with g * g <= n, N_g cells of the g x g grid hold a centre; the dimension is the least
    squares slope of log N_g over log g. 2 = spread evenly over the plane, 1 = on a line or in one place.

    Args:
        points: (n, 2) centres x, y in [0, 1] of all images laid over each other.

    Returns:
        The slope; 1 for fewer than 4 objects and for slopes below 1.

    Raises:
        ValueError: another shape, or centres outside [0, 1].
    """
    centres = np.asarray(points, dtype=np.float64).reshape(-1, 2) if np.size(points) == 0 else np.asarray(points, float)
    if centres.ndim != 2 or centres.shape[1] != 2:
        raise ValueError(f'box_counting_dimension: points must be (n, 2), but have shape {centres.shape}.')
    if centres.size and not (np.isfinite(centres).all() and centres.min() >= 0 and centres.max() <= 1):
        raise ValueError('box_counting_dimension: centres must lie in [0, 1]; divide them by width and height.')
    if len(centres) < LEAST_OBJECTS:
        return 1.0
    sides = np.arange(1, min(math.isqrt(len(centres)), LARGEST_GRID) + 1)
    occupied = [_occupied_cells(centres, int(side)) for side in sides]
    slope = float(np.polyfit(np.log(sides), np.log(occupied), 1)[0])
    return max(slope, 1.0)


def _occupied_cells(centres: Floats, side: int) -> int:
    """Cells of a side x side grid that hold a centre; a centre on the far border belongs to the last cell."""
    cells = np.minimum((centres * side).astype(np.int64), side - 1)
    return int(np.unique(cells[:, 0] * side + cells[:, 1]).size)


def fracal_frequency_shift(image_counts: ArrayLike, num_images: int) -> Floats:
    """w_c = -log10(f_c) - log10(C) with f_c = images that hold class c / images; 0 for a class on no image, (C,)."""
    images = np.asarray(image_counts, dtype=np.float64)
    check_integer('num_images', num_images, low=1, owner='fracal')
    if images.ndim != 1 or images.size == 0 or (images < 0).any() or (images > num_images).any():
        raise ValueError(
            f'fracal: image_counts must hold one number in [0, {num_images}] per class, but are {images.tolist()}.'
        )
    seen = images > 0
    frequency = np.where(seen, images, num_images) / num_images
    return np.where(seen, -np.log10(frequency) - math.log10(images.size), 0.0)


def fracal(
    image_counts: ArrayLike,
    num_images: int,
    dimensions: Sequence[float],
    *,
    lam: float = 2.0,
    use_sigmoid: bool = False,
) -> LogitCalibration:
    """Build the calibration of FRACAL from facts of the training annotations.

    ::

        softmax   p = softmax(z + w), p_c <- p_c / D_c^lam, rows normalised (w = 0, D = 1 for background)
        sigmoid   p_c = sigmoid(z_c) * sigmoid(z_c + w_c + log10(1 / C) - log10(D_c^lam / sum_k D_k^lam))

    with w of :func:`fracal_frequency_shift`. Dividing and normalising a softmax is a shift by -lam * ln(D_c).

    Args:
        image_counts: (C,) training images that hold each class; 0 = the class keeps its frequency term at 0.
        num_images: training images.
        dimensions: (C,) D_c >= 1 of :func:`box_counting_dimension`.
        lam: weight of the spatial term; 0 leaves the frequency alone.

    Source: Alexandridis et al., Fractal calibration for long-tailed object detection, CVPR 2025 (variant 'base10').
    """
    check_number('lam', lam, low=0.0, owner='fracal')
    frequency = fracal_frequency_shift(image_counts, num_images)
    spread = np.asarray(dimensions, dtype=np.float64)
    if spread.shape != frequency.shape or not np.isfinite(spread).all() or (spread < 1).any():
        raise ValueError(
            f'fracal: dimensions must hold one number >= 1 per class ({frequency.size}), but are {spread.tolist()}.'
        )
    parameters = {'lam': float(lam), 'dimensions': spread.tolist()}
    if not use_sigmoid:
        return LogitCalibration('fracal', tuple(frequency - lam * np.log(spread)), parameters=parameters)
    powers = spread**lam
    product = frequency - math.log10(spread.size) - np.log10(powers / powers.sum())
    return LogitCalibration(
        'fracal', (0.0,) * spread.size, product_shift=tuple(product.tolist()), parameters=parameters
    )
