"""Transform: height of every point above the ground under it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_number
from imbdense.core.points.ground import ground_height
from imbdense.mm.transforms.kept_by_array import KeptByArray
from imbdense.mm.transforms.point_fields import PointTransform
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PointHeight(PointTransform):
    """Add ``attributes['height']``: metres above the local ground, (N, 1).

    The ground is estimated from the points alone, see :func:`imbdense.core.points.ground_height`. Put it before crops:
    a crop that lies wholly on a roof does not know where the ground is. It is estimated once per worker
    for scenes that ``LoadPoints(keep=...)`` keeps.

    Args:
        cell: side of the ground's raster cells in metres; some points should lie in each.
        window: metres; what is narrower than this and stands out is no ground (the widest building).
    """

    whole_scene = True

    def __init__(self, cell: float = 1.0, window: float = 30.0) -> None:
        self.cell = check_number('cell', cell, low=0, low_open=True, owner='PointHeight')
        self.window = check_number('window', window, low=self.cell, owner='PointHeight')
        self._kept = KeptByArray()

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the attribute."""
        self.require(results, 'points')
        points = results['points']
        height = self._kept.get(points, lambda: self._height(points))
        results['attributes'] = {**results.get('attributes', {}), 'height': height}
        return results

    def _height(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 1) metres above the ground."""
        height = points[:, 2] - ground_height(points, cell=self.cell, window=self.window)
        return height[:, None].astype(np.float32)

    def __repr__(self) -> str:
        return f'PointHeight(cell={self.cell:g}, window={self.window:g})'
