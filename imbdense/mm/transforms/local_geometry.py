"""Transform: what the neighbourhood of every point looks like, as attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_integer, check_number
from imbdense.core.points.local_geometry import GEOMETRY, local_geometry
from imbdense.core.points.neighbours import PointTree
from imbdense.mm.transforms.kept_by_array import KeptByArray
from imbdense.mm.transforms.point_fields import PointTransform
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LocalGeometry(PointTransform):
    """Add linearity, planarity, verticality and others of every point's neighbourhood, each (N, 1).

    Definitions: :func:`imbdense.core.points.local_geometry.local_geometry`. The neighbourhood is the point and its
    nearest others, itself included. Put it before crops (at their border half of the neighbours are missing) and after
    grid sampling (else dense places look at centimetres); ``normal_x`` and ``normal_y`` do not follow later rotations.
    Right behind ``LoadPoints(keep=...)`` a kept scene is looked at once per worker.

    Args:
        names: which of them; ``None`` = all eleven.
        k: points of a neighbourhood.
        radius: neighbours at this distance (metres) or farther are left out; ``None`` = none are.
        k_min: points with fewer neighbours get zeros.
    """

    card = 'local_geometry'
    whole_scene = True

    def __init__(
        self, names: Sequence[str] | None = None, k: int = 16, radius: float | None = None, k_min: int = 4
    ) -> None:
        self.names = GEOMETRY if names is None else tuple(names)
        unknown = sorted(set(self.names) - set(GEOMETRY))
        if unknown or not self.names:
            raise ValueError(f'LocalGeometry: names holds {unknown or "nothing"}; known are {", ".join(GEOMETRY)}.')
        self.k = check_integer('k', k, low=2, owner='LocalGeometry')
        self.radius = None if radius is None else check_number('radius', radius, low=0, low_open=True)
        self.k_min = check_integer('k_min', k_min, low=1, high=self.k, owner='LocalGeometry')
        self._kept = KeptByArray()

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the attributes."""
        self.require(results, 'points')
        points = results['points']
        columns = self._kept.get(points, lambda: self._columns(points.astype(np.float64)))
        return {**results, 'attributes': {**results.get('attributes', {}), **columns}}

    def _columns(self, points: NDArray[np.float64]) -> dict[str, NDArray[np.float32]]:
        """Name -> (N, 1)."""
        _, index = PointTree(points).nearest(self.k, max_distance=self.radius or float('inf'))
        found = local_geometry(points, index, k_min=self.k_min)
        return {name: found[:, [GEOMETRY.index(name)]] for name in self.names}

    def __repr__(self) -> str:
        return f'LocalGeometry(names={self.names}, k={self.k}, radius={self.radius}, k_min={self.k_min})'
