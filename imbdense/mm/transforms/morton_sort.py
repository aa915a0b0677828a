"""Transform: order points along a Morton curve."""

from __future__ import annotations

from typing import Any

from imbdense.core.points import morton_order
from imbdense.mm.transforms.point_fields import PointTransform, take_points
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class MortonSort(PointTransform):
    """Order the points along a Morton curve, so that neighbours in space are neighbours in memory.

    Everything that looks for neighbours afterwards (kNN, radius, pooling) is faster. The order of the file is lost, so
    leave it out where predictions are written back.
    """

    whole_scene = True

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Sort all per-point entries."""
        self.require(results, 'points')
        return take_points(results, morton_order(results['points']))

    def __repr__(self) -> str:
        return 'MortonSort()'
