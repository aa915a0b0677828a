"""``imbdense.M3C2``: the settings of a measurement, as a config writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from imbdense.core.change3d import ENGINES, M3C2Result, m3c2
from imbdense.core.checks import check_choice, check_number
from imbdense.registry import TASK_UTILS


@TASK_UTILS.register_module()
class M3C2:
    """Measure M3C2 distances with a level of detection; by py4dgeo where it is installed, else by our own numpy.

    Both give the same (1e-9; counts exactly). ``imbdense compare clouds`` is the same on files.

    Args:
        cylinder_radius, max_distance, normal_radii, registration_error, robust, engine: see
            :func:`imbdense.core.change3d.m3c2.m3c2`.
        normals: one direction, for example (0, 0, 1) for surveys from the air; instead of ``normal_radii``.

    Raises:
        ValueError: out of range; none or both of ``normal_radii`` and ``normals``.
    """

    card = 'm3c2'
    tasks = ('point change',)
    conformance_arguments = {'normals': (0.0, 0.0, 1.0)}

    def __init__(
        self,
        cylinder_radius: float = 1.0,
        max_distance: float = 5.0,
        normal_radii: Sequence[float] | None = None,
        normals: Sequence[float] | None = None,
        registration_error: float = 0.0,
        robust: bool = False,
        engine: Literal['auto', 'numpy', 'py4dgeo'] = 'auto',
    ) -> None:
        self.cylinder_radius = check_number('cylinder_radius', cylinder_radius, low=0.0, low_open=True, owner='M3C2')
        self.max_distance = check_number('max_distance', max_distance, low=0.0, low_open=True, owner='M3C2')
        self.registration_error = check_number('registration_error', registration_error, low=0.0, owner='M3C2')
        if (normals is None) == (normal_radii is None):
            raise ValueError('M3C2: give normal_radii (metres) or normals (one direction), and not both.')
        self.normal_radii = None if normal_radii is None else tuple(normal_radii)
        self.normals = None if normals is None else np.asarray(normals, dtype=np.float64)
        self.robust, self.engine = bool(robust), check_choice('engine', engine, ENGINES, owner='M3C2')

    def __call__(self, epoch1: ArrayLike, epoch2: ArrayLike, core_points: ArrayLike) -> M3C2Result:
        """Measure at ``core_points`` (N, 3)."""
        return m3c2(
            epoch1, epoch2, core_points, cylinder_radius=self.cylinder_radius, max_distance=self.max_distance,
            normal_radii=self.normal_radii, normals=self.normals, registration_error=self.registration_error,
            robust=self.robust, engine=self.engine,
        )  # fmt: skip
