"""Place objects and clutter on a plane, and take a scan of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from imbdense.core.boxes3d import free_of_collision
from imbdense.data.lidar_scene.raycast import Floats, Solid, cast, sensor_rays
from imbdense.data.lidar_scene.setup import LidarSetup, ObjectClass

TRIES = 30
"""Places that are tried for an object before it is left out."""
GAP = 0.4
"""Metres that stay free round every object."""
GROUND_REFLECTANCE = 0.25


@dataclass(frozen=True, eq=False)
class LidarScan:
    """A scene.

    Attributes:
        points: (N, 4) float32 x, y, z, reflectance, relative to the sensor.
        boxes: (G, 7) of the objects with at least one point. labels: (G,) index into the setup's classes.
        visible: (G,) share of the echoes an object would have without the others in the way.
    """

    points: NDArray[np.float32]
    boxes: Floats
    labels: NDArray[np.int64]
    visible: Floats


def make_scan(setup: LidarSetup, rng: np.random.Generator) -> LidarScan:
    """Draw a scene of a domain and scan it."""
    boxes, labels = _objects(setup, rng)
    solids = [solid for number, box in enumerate(boxes)
              for solid in _shape(setup.classes[labels[number]].shape, box, number, rng.uniform(0.2, 0.8))]
    solids += _clutter(setup, boxes, rng)
    sensor = setup.sensor
    azimuths, elevations = sensor_rays(sensor.lowest, sensor.highest, sensor.beams, sensor.half_view, sensor.step)
    ranges, which = cast(sensor.height, azimuths, elevations, solids)
    owner = np.array([solid.owner for solid in solids] + [-1])[which]
    echoed = np.isfinite(ranges) & (ranges < sensor.reach) & (rng.random(ranges.shape) >= sensor.dropout)
    points = _points(ranges, which, echoed, azimuths, elevations, solids, setup, rng)
    hits = np.bincount(owner[echoed & (owner >= 0)], minlength=len(boxes))
    alone = np.array([_echoes(sensor.height, sensor.reach, azimuths, elevations, solids, number)
                      for number in range(len(boxes))])
    seen = hits > 0
    visible = hits / np.maximum(alone * (1 - sensor.dropout), 1)
    shifted = boxes.copy()
    shifted[:, 2] -= sensor.height
    return LidarScan(points, shifted[seen], labels[seen], np.minimum(visible[seen], 1.0))


def _points(
    ranges: Floats, which: NDArray[np.int64], echoed: NDArray[np.bool_], azimuths: Floats, elevations: Floats,
    solids: list[Solid], setup: LidarSetup, rng: np.random.Generator,
) -> NDArray[np.float32]:  # fmt: skip
    """Echoes as points relative to the sensor."""
    columns, beams = np.nonzero(echoed)
    distance = ranges[columns, beams] + rng.normal(0, setup.sensor.noise, columns.size)
    flat = distance * np.cos(elevations[beams])
    xyz = [flat * np.cos(azimuths[columns]), flat * np.sin(azimuths[columns]), distance * np.sin(elevations[beams])]
    shades = np.array([solid.reflectance for solid in solids] + [GROUND_REFLECTANCE])
    shade = np.clip(shades[which[columns, beams]] + rng.normal(0, 0.05, columns.size), 0, 1)
    return np.column_stack([*xyz, shade]).astype(np.float32)


def _echoes(
    height: float, reach: float, azimuths: Floats, elevations: Floats, solids: list[Solid], number: int
) -> int:
    """Rays that would meet an object if it were alone."""
    ranges, which = cast(height, azimuths, elevations, [solid for solid in solids if solid.owner == number])
    return int(((which >= 0) & (ranges < reach)).sum())


def _objects(setup: LidarSetup, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
    """(G, 7) boxes that stand on the ground z = 0 without touching each other, and their classes."""
    placed: list[Floats] = []
    labels: list[int] = []
    for label, kind in enumerate(setup.classes):
        for _ in range(rng.poisson(kind.per_scene)):
            box = _free_place(setup, kind, placed, rng)
            if box is not None:
                placed.append(box)
                labels.append(label)
    return np.array(placed).reshape(-1, 7), np.array(labels, dtype=np.int64)


def _free_place(
    setup: LidarSetup, kind: ObjectClass, placed: list[Floats], rng: np.random.Generator
) -> Floats | None:
    """A box of a class that hits none of those placed, or ``None``."""
    size = np.array(kind.size) * np.clip(rng.normal(1, kind.spread, 3), 1 - 3 * kind.spread, 1 + 3 * kind.spread)
    x_min, y_min, x_max, y_max = setup.extent
    present = torch.from_numpy(np.array(placed).reshape(-1, 7))
    for _ in range(TRIES):
        lane = kind.shape == 'car' and rng.random() < 0.75  # most cars drive along the road, either way
        yaw = rng.normal(0, 0.1) + np.pi * rng.integers(2) if lane else rng.uniform(-np.pi, np.pi)
        box = np.array([rng.uniform(x_min, x_max), rng.uniform(y_min, y_max), size[2] / 2, *size, yaw])
        wide = torch.from_numpy(box)[None].clone()
        wide[:, 3:5] += GAP
        if bool(free_of_collision(wide, present)[0]):
            return box
    return None


def _shape(shape: str, box: Floats, owner: int, shade: float) -> list[Solid]:
    """The solids of an object, all inside its box."""
    x, y, z, length, width, height, yaw = box.tolist()
    bottom = z - height / 2

    def part(along: float, low: float, high: float, size: tuple[float, float], rounded: bool = False) -> Solid:
        place = (x + along * np.cos(yaw), y + along * np.sin(yaw), bottom + (low + high) / 2 * height)
        return Solid(place, (*size, (high - low) * height), yaw, rounded, owner, shade)

    if shape == 'car':
        return [part(0, 0.1, 0.55, (length, width)), part(-0.08 * length, 0.55, 1.0, (0.55 * length, 0.9 * width))]
    if shape == 'person':
        body = min(length, width)
        return [part(0, 0.0, 0.85, (0.7 * body, 0.7 * body), True), part(0, 0.85, 1.0, (0.3, 0.3), True),
                part(0.25 * length, 0.4, 0.6, (0.5 * length, 0.3 * width))]
    rider = 0.75 * width
    return [part(0, 0.0, 0.55, (length, 0.35 * width)), part(-0.08 * length, 0.35, 1.0, (rider, rider), True),
            part(0.25 * length, 0.5, 0.62, (0.1, width))]


def _clutter(setup: LidarSetup, boxes: Floats, rng: np.random.Generator) -> list[Solid]:
    """Things that are no objects, beside them."""
    x_min, y_min, x_max, y_max = setup.extent
    found = []
    for kind in sorted(setup.clutter):
        for _ in range(rng.poisson(setup.clutter[kind])):
            size, rounded = _clutter_size(kind, rng)
            yaw, shade = rng.uniform(-np.pi, np.pi), rng.uniform(0.1, 0.9)
            for _ in range(TRIES):
                x, y = rng.uniform(x_min, x_max), rng.uniform(y_min, y_max)
                away = np.hypot(boxes[:, 0] - x, boxes[:, 1] - y) if len(boxes) else np.array([np.inf])
                if away.min() > max(size[0], size[1]) / 2 + 2.5:
                    found.append(Solid((x, y, size[2] / 2), size, yaw, rounded, -1, shade))
                    break
    return found


def _clutter_size(kind: str, rng: np.random.Generator) -> tuple[tuple[float, float, float], bool]:
    """Size and roundness; bushes are as wide as people, fences as long as cycles."""
    if kind == 'pole':
        width = rng.uniform(0.15, 0.35)
        return (width, width, rng.uniform(2.5, 4.0)), True
    if kind == 'bush':
        width = rng.uniform(0.5, 1.2)
        return (width, width, rng.uniform(0.8, 1.6)), True
    if kind == 'fence':
        return (rng.uniform(1.4, 3.0), rng.uniform(0.1, 0.3), rng.uniform(0.8, 1.4)), False
    if kind == 'wall':
        return (rng.uniform(5.0, 9.0), rng.uniform(0.5, 3.0), rng.uniform(2.5, 4.0)), False
    raise ValueError(f"clutter has no kind {kind!r}; known are 'pole', 'bush', 'fence', 'wall'.")
