"""What is asked of a cloud before anything is measured: shape, points, finite coordinates, a common place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class CloudError(ValueError):
    """A cloud that cannot be used. ``kind``: 'shape', 'empty', 'not_finite', 'no_overlap'; ``name``: which cloud."""

    def __init__(self, name: str, kind: str, problem: str, cure: str) -> None:
        self.name, self.kind = name, kind
        super().__init__(f'{name} {problem} {cure}')


def check_xyz(name: str, xyz: ArrayLike, *, allow_empty: bool = False) -> Floats:
    """Return ``xyz`` as float64 (N, 3).

    Raises:
        CloudError: another shape, no point (unless ``allow_empty``), or a coordinate that is NaN or infinite. It names
            the cloud (an argument, or the file it came from).
    """
    array: NDArray[Any] = np.asarray(xyz)
    if array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind not in 'fiu':
        raise CloudError(name, 'shape', f'must be numbers (N, 3) in metres, but is {array.dtype} {array.shape}.',
                         'Give x, y, z per row; colours and labels are separate.')  # fmt: skip
    if array.shape[0] == 0 and not allow_empty:
        raise CloudError(name, 'empty', 'holds no point.', 'Is it the right file, and the right crop of it?')
    points = np.asarray(array, dtype=np.float64)
    wrong = ~np.isfinite(points).all(axis=1)
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise CloudError(
            name, 'not_finite', f'has {int(wrong.sum())} points with NaN or infinite coordinates (first: {first}).',
            'Remove them before: xyz[numpy.isfinite(xyz).all(axis=1)].',
        )  # fmt: skip
    return points


def check_overlap(first: Floats, second: Floats, names: tuple[str, str], margin: float = 0.0) -> None:
    """Raise ``CloudError`` when the horizontal extents of two clouds (N, 3) are more than ``margin`` metres apart.

    Clouds that share no ground are mostly in different coordinate systems, or of different tiles.
    """
    gap = np.maximum(first.min(axis=0), second.min(axis=0)) - np.minimum(first.max(axis=0), second.max(axis=0))
    if gap[:2].max() > margin:
        raise CloudError(
            f'{names[0]} and {names[1]}', 'no_overlap', f'do not overlap: {_extent(first)}; {_extent(second)}.',
            'Are both in the same coordinate system, and of the same tile?',
        )


def _extent(cloud: Floats) -> str:
    """The horizontal extent in words."""
    low, high = cloud.min(axis=0), cloud.max(axis=0)
    return f'x {low[0]:.1f} to {high[0]:.1f}, y {low[1]:.1f} to {high[1]:.1f}'
