"""What a pipeline does to the pixels of an image, measured: its affine matrix and where it padded."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

INSIDE = -7.0
"""Mark of real pixels in the third channel of a coordinate image: no pad value anyone would use."""
TOLERANCE = 0.5
"""Most pixels that the matrix may be wrong anywhere."""
MOST_POINTS = 4096

Transform = Callable[[dict[str, Any]], 'dict[str, Any] | None']


def apply_and_measure(
    geometry: Transform, results: dict[str, Any], owner: str
) -> tuple[dict[str, Any], NDArray[np.float64], NDArray[np.bool_]] | None:
    """Run ``geometry`` on an image and, with the same random numbers, on an image of coordinates.

    It works with every transform that moves the image affinely, whether or not it says what it did.

    Args:
        geometry: transforms that move pixels, and leave colours alone.
        results: with ``img`` (H, W[, C]).
        owner: for messages.

    Returns:
        (results, matrix, inside): what ``geometry`` made; (3, 3) from the pixels (x, y, 1) of the image to those of the
        view; (h, w) bool, False where it padded. The matrix is the identity where nothing but padding is left.
        ``None`` when ``geometry`` returns ``None``.

    Raises:
        ValueError: a transform changed the coordinates in another way: colour, noise, or a bend.
    """
    height, width = results['img'].shape[:2]
    probe = {key: value for key, value in results.items() if key not in ('img', 'gt_seg_map', 'seg_fields')}
    probe = copy.deepcopy(probe)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    probe.update(img=np.stack([columns, rows, np.full_like(rows, INSIDE)], -1), seg_fields=[])
    before = _random_state()
    moved = geometry(results)
    after = _random_state()
    _set_random_state(before)
    places = geometry(probe)
    _set_random_state(after)
    if moved is None or places is None:
        return None
    if places['img'].shape[:2] != moved['img'].shape[:2]:
        raise ValueError(f'{owner}: a transform treats an image by its content, so its geometry can not be recorded.')
    matrix, inside = fit_view(places['img'], (height, width), owner)
    return moved, matrix, inside


def fit_view(
    places: NDArray[np.float32], size: tuple[int, int], owner: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(matrix, inside) from a moved coordinate image; see :func:`apply_and_measure`."""
    inside = np.abs(places[..., 2] - INSIDE) < 1e-2
    x, y = places[..., 0], places[..., 1]
    if not np.issubdtype(places.dtype, np.floating) or _recoloured(places[~inside]):
        raise ValueError(
            f'{owner}: the weak transforms change the values of pixels. They must leave colours alone; put those under '
            f'strong.'
        )
    # Resampling repeats the outermost pixels, so the coordinates bend there.
    margin_x, margin_y = min(0.5, (size[1] - 1) / 4), min(0.5, (size[0] - 1) / 4)
    usable = inside & (x > margin_x) & (x < size[1] - 1 - margin_x) & (y > margin_y) & (y < size[0] - 1 - margin_y)
    v, u = np.nonzero(usable)
    if u.size < 3:
        return np.eye(3), inside
    chosen = np.linspace(0, u.size - 1, min(u.size, MOST_POINTS)).astype(np.int64)
    u, v = u[chosen], v[chosen]
    view = np.stack([u, v, np.ones_like(u)], 1).astype(np.float64)
    image = np.stack([x[v, u], y[v, u]], 1).astype(np.float64)
    back, _, rank, _ = np.linalg.lstsq(view, image, rcond=None)
    if rank < 3:
        return np.eye(3), inside
    error = np.abs(view @ back - image).max()
    if error > TOLERANCE:
        raise ValueError(
            f'{owner}: the weak transforms move pixels up to {error:.1f} pixels away from an affine map. They must '
            f'not bend the image, and leave colours alone; put those under strong.'
        )
    return np.linalg.inv(np.vstack([back.T, [0.0, 0.0, 1.0]])), inside


def _recoloured(outside: NDArray[np.floating]) -> bool:
    """Whether (n, 3) pixels that lost the mark are something else than padding, which has one colour (apart from blends
    at its border)."""
    if not outside.size:
        return False
    padded = np.abs(outside[:, 2] - np.median(outside[:, 2])) < 1e-3
    return bool(np.ptp(outside[padded, :2], axis=0).max() > 1e-3)


def _random_state() -> tuple[Any, Any, Any]:
    """The state of the global generators."""
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def _set_random_state(state: tuple[Any, Any, Any]) -> None:
    """Put the global generators there."""
    random.setstate(state[0])
    np.random.set_state(state[1])
    torch.set_rng_state(state[2])
