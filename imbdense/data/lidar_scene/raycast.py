"""Rays against turned boxes, upright cylinders and the ground, each by its formula."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NEAREST = 0.5
"""Metres within which a sensor sees nothing."""


@dataclass(frozen=True)
class Solid:
    """A turned box, or an upright cylinder.

    Attributes:
        centre: x, y, z. size: l, w, h; of a cylinder diameter, diameter, height. yaw: radians. round: a cylinder.
        owner: number of the object it belongs to, -1 = clutter. reflectance: in [0, 1].
    """

    centre: tuple[float, float, float]
    size: tuple[float, float, float]
    yaw: float
    round: bool
    owner: int
    reflectance: float


def sensor_rays(lowest: float, highest: float, beams: int, half_view: float, step: float) -> tuple[Floats, Floats]:
    """(azimuths (A,), elevations (B,)) in radians."""
    columns = np.arange(-half_view, half_view + step / 2, step)
    return np.radians(columns), np.radians(np.linspace(lowest, highest, beams))


def cast(origin_height: float, azimuths: Floats, elevations: Floats, solids: list[Solid]) -> tuple[Floats, Floats]:
    """Return what each ray from (0, 0, ``origin_height``) meets first.

    Only the columns that a solid can lie in are looked at.

    Returns:
        (ranges (A, B), infinite where nothing is met; index of the solid (A, B), -1 = ground or nothing).
    """
    flat, rise = np.cos(elevations), np.sin(elevations)
    with np.errstate(divide='ignore'):
        ground = np.where(rise < 0, -origin_height / rise, np.inf)
    ranges = np.repeat(ground[None], azimuths.size, axis=0)
    which = np.full(ranges.shape, -1, dtype=np.int64)
    for index, solid in enumerate(solids):
        columns = _columns(solid, azimuths)
        if columns.size == 0:
            continue
        met = _ranges(solid, origin_height, azimuths[columns], flat, rise)
        nearer = met < ranges[columns]
        rows, beams = np.nonzero(nearer)
        ranges[columns[rows], beams] = met[rows, beams]
        which[columns[rows], beams] = index
    return ranges, which


def _columns(solid: Solid, azimuths: Floats) -> NDArray[np.int64]:
    """Columns whose rays pass the circle round a solid."""
    x, y, _ = solid.centre
    distance, radius = np.hypot(x, y), np.hypot(solid.size[0], solid.size[1]) / 2
    if distance <= radius:
        return np.arange(azimuths.size)
    difference = (azimuths - np.arctan2(y, x) + np.pi) % (2 * np.pi) - np.pi
    return np.flatnonzero(np.abs(difference) <= np.arcsin(radius / distance))


def _ranges(solid: Solid, height: float, azimuths: Floats, flat: Floats, rise: Floats) -> Floats:
    """(A, B) range at which each ray enters the solid, infinite where it does not."""
    enter_plan, leave_plan = _circle(solid, azimuths) if solid.round else _rectangle(solid, azimuths)
    low, high = solid.centre[2] - solid.size[2] / 2, solid.centre[2] + solid.size[2] / 2
    with np.errstate(divide='ignore', invalid='ignore'):
        slopes = np.stack([(low - height) / rise, (high - height) / rise])
    level = rise == 0
    enter_z = np.where(level, -np.inf if low <= height <= high else np.inf, slopes.min(axis=0))
    leave_z = np.where(level, np.inf, slopes.max(axis=0))
    enter = np.maximum(enter_plan[:, None] / flat[None], enter_z[None])
    leave = np.minimum(leave_plan[:, None] / flat[None], leave_z[None])
    return np.where((enter <= leave) & (enter > NEAREST), enter, np.inf)


def _circle(solid: Solid, azimuths: Floats) -> tuple[Floats, Floats]:
    """Where rays in the plane enter and leave a circle."""
    x, y, _ = solid.centre
    along = x * np.cos(azimuths) + y * np.sin(azimuths)
    across = x * x + y * y - along * along
    half = np.sqrt(np.maximum((solid.size[0] / 2) ** 2 - across, 0))
    missed = across > (solid.size[0] / 2) ** 2
    return np.where(missed, np.inf, along - half), np.where(missed, -np.inf, along + half)


def _rectangle(solid: Solid, azimuths: Floats) -> tuple[Floats, Floats]:
    """Where rays in the plane enter and leave a turned rectangle (slab method)."""
    x, y, _ = solid.centre
    cosine, sine = np.cos(solid.yaw), np.sin(solid.yaw)
    start = np.array([-x * cosine - y * sine, x * sine - y * cosine])
    enter, leave = np.full(azimuths.shape, -np.inf), np.full(azimuths.shape, np.inf)
    directions = (np.cos(azimuths - solid.yaw), np.sin(azimuths - solid.yaw))
    for axis, direction in enumerate(directions):
        half = solid.size[axis] / 2
        with np.errstate(divide='ignore', invalid='ignore'):
            one, other = (-half - start[axis]) / direction, (half - start[axis]) / direction
        inside = np.abs(start[axis]) <= half
        still = direction == 0
        low = np.where(still, -np.inf if inside else np.inf, np.minimum(one, other))
        high = np.where(still, np.inf if inside else -np.inf, np.maximum(one, other))
        enter, leave = np.maximum(enter, low), np.minimum(leave, high)
    return enter, leave
