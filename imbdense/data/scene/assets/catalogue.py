"""Object class → builder of one random asset of that class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from imbdense.data.scene import classes
from imbdense.data.scene.assets import clutter, cycles, street, vegetation, vehicles
from imbdense.data.scene.mesh import Mesh

Builder = Callable[[np.random.Generator, float], Mesh]
_BUILDERS: dict[int, Builder] = {
    classes.LOW_VEG: vegetation.low_vegetation, classes.MEDIUM_VEG: vegetation.medium_vegetation,
    classes.HIGH_VEG: vegetation.high_vegetation, classes.VEHICLE: vehicles.car, classes.TRUCK: vehicles.truck,
    classes.AIRCRAFT: vehicles.aircraft, classes.MILITARY: vehicles.military, classes.BIKE: cycles.bike,
    classes.MOTORCYCLE: cycles.motorcycle, classes.LIGHT_POLE: street.light_pole,
    classes.STREET_SIGN: street.street_sign, classes.CLUTTER: clutter.clutter, classes.FENCE: street.fence,
}
SCALED = frozenset({classes.VEHICLE, classes.TRUCK, classes.AIRCRAFT, classes.MILITARY, classes.BIKE,
                    classes.MOTORCYCLE, classes.LIGHT_POLE, classes.STREET_SIGN, classes.CLUTTER})
"""Classes whose size follows ``mix.object_scale``."""


@dataclass(frozen=True)
class Asset:
    """A mesh in its own frame (origin on the ground, x forward) with its ground extent ``half`` (hx, hy) and height."""

    mesh: Mesh
    half: tuple[float, float]
    height: float


def build_asset(class_id: int, rng: np.random.Generator, object_scale: float = 1.0) -> Asset:
    """Return a random asset of object class ``class_id`` (2–14), multiplied in size where the class is scaled."""
    scale = object_scale if class_id in SCALED else 1.0
    mesh = _BUILDERS[class_id](rng, scale)
    reach = np.abs(mesh.vertices[:, :2]).max(axis=0)
    return Asset(mesh, (float(reach[0]), float(reach[1])), float(mesh.vertices[:, 2].max()))
