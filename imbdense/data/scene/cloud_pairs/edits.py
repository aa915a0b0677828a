"""What may differ between the two dates of a pair of clouds, by change class."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import classes as c
from imbdense.data.scene.cloud_pairs.config import (
    CHANGE_CLASSES,
    DEMOLITION,
    GROWTH,
    MISSING_VEGETATION,
    MOBILE,
    NEW_BUILDING,
    NEW_VEGETATION,
)
from imbdense.data.scene.ground import OPEN
from imbdense.data.scene.pairs.edits import Edit, Element, grown
from imbdense.data.scene.pairs.patches import Patch
from imbdense.data.scene.placement import SceneObject
from imbdense.data.scene.polygon import signed_area
from imbdense.data.scene.rng import stream
from imbdense.data.scene.world import Building, World, WorldBuilder

VEGETATION = (c.LOW_VEG, c.MEDIUM_VEG, c.HIGH_VEG)
MOBILES = (c.VEHICLE, c.TRUCK, c.AIRCRAFT, c.MILITARY, c.BIKE, c.MOTORCYCLE, c.CLUTTER)
_STOREY = 3.0
_TRIES = 400


def draw_changes(builder: WorldBuilder, objects: Sequence[SceneObject]) -> tuple[list[Element], list[Edit]]:
    """Return what cannot change, and the possible edits in random order; ``kind`` of an edit is its change class.

    Every building may be built, pulled down (bare soil is left) or extended by one to three storeys; of the plants
    about 40 % may vanish and 30 % grow by 1.2 to 2, as many new ones may appear as may vanish; of the mobile objects
    about 60 % may move to another free place. Poles, signs and fences stay. Each element has its own random stream.
    """
    seed = builder.config.seed
    fixed: list[Element] = []
    edits = [_building_edit(builder, number) for number in range(len(builder.buildings))]
    wanted: dict[int, int] = {}
    leaving: list[SceneObject] = []
    for item in objects:
        rng = stream(seed, 'change', item.class_id, item.number)
        choice = float(rng.uniform())
        if item.class_id in VEGETATION and choice < 0.4:
            edits.append(Edit(CHANGE_CLASSES[MISSING_VEGETATION], 'remove', (item,), (), (item,)))
        elif item.class_id in VEGETATION and choice < 0.7:
            larger = grown(item, float(rng.uniform(1.2, 2.0)))
            edits.append(Edit(CHANGE_CLASSES[GROWTH], 'grow', (item,), (larger,), (item,)))
            continue
        elif item.class_id in MOBILES and choice < 0.6:
            leaving.append(item)
        else:
            fixed.append(item)
            continue
        wanted[item.class_id] = wanted.get(item.class_id, 0) + 1
    places = builder.placer.extend(objects, wanted)
    edits += [Edit(CHANGE_CLASSES[NEW_VEGETATION], 'plant', (), (item,)) for item in places
              if item.class_id in VEGETATION]
    free = {number: [item for item in places if item.class_id == number] for number in MOBILES}
    for item in leaving:
        found = free[item.class_id].pop(0) if free[item.class_id] else None
        if found is None:
            fixed.append(item)
            continue
        moved = dataclasses.replace(item, x=found.x, y=found.y, z=found.z, yaw=found.yaw, asset=found.asset)
        edits.append(Edit(CHANGE_CLASSES[MOBILE], 'move', (item,), (moved,), (item,)))
    order = stream(seed, 'change_order').permutation(len(edits))
    return fixed, [edits[k] for k in order]


def _building_edit(builder: WorldBuilder, number: int) -> Edit:
    """Build, pull down, or extend one building."""
    rng = stream(builder.config.seed, 'building_change', number)
    building = builder.buildings[number]
    operation = str(rng.choice(['build', 'demolish', 'extend'], p=[0.4, 0.35, 0.25]))
    if operation == 'build':
        return Edit(CHANGE_CLASSES[NEW_BUILDING], operation, (), (building,), (building,))
    if operation == 'demolish':
        soil = Patch('clear', building.plan.footprint)
        return Edit(CHANGE_CLASSES[DEMOLITION], operation, (building,), (soil,), (building,))
    taller = dataclasses.replace(building.plan, height=building.plan.height + _STOREY * int(rng.integers(1, 4)))
    after = builder.building(taller, stream(builder.config.seed, 'facade', number))  # same colours and details
    return Edit(CHANGE_CLASSES[NEW_BUILDING], operation, (building,), (after,), (building,))


def ground_area(edit: Edit) -> float:
    """Return about how many m² of ground show the change at date 2, for a first guess of its points."""
    total = 0.0
    for item in (edit.after or edit.before):
        if isinstance(item, Building):
            total += 2.0 * abs(signed_area(item.plan.footprint))
        elif isinstance(item, SceneObject):
            total += 4 * item.asset.half[0] * item.asset.half[1] * (2.0 if edit.operation == 'move' else 1.0)
        else:
            total += abs(signed_area(item.outline))
    return total


@dataclasses.dataclass(frozen=True)
class Earthwork:
    """A round cut (``rise`` < 0) or fill at (x, y): ``rise`` m in the middle, 0 at ``radius`` m."""

    x: float
    y: float
    radius: float
    rise: float

    def inside(self, xy: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether points (N, 2) lie within the radius."""
        return np.hypot(xy[:, 0] - self.x, xy[:, 1] - self.y) < self.radius


def draw_earthworks(builder: WorldBuilder, elements: Sequence[Element], count: int) -> list[Earthwork]:
    """Return up to ``count`` places of 3 to 6 m radius on open ground that touch no building and no object of either
    date (``elements``), nor each other."""
    rng = stream(builder.config.seed, 'earthworks')
    taken = [(item.x, item.y, max(item.asset.half)) for item in elements if isinstance(item, SceneObject)]
    found: list[Earthwork] = []
    ring = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    for _ in range(_TRIES if count else 0):
        radius = float(rng.uniform(3, 6))
        x, y = (float(value) for value in rng.uniform(radius, builder.config.size - radius, 2))
        rise = float(rng.uniform(0.5, 2.0)) * (1 if rng.uniform() < 0.5 else -1)
        around = [(x + share * radius * np.cos(ring), y + share * radius * np.sin(ring)) for share in (0.35, 0.7, 1.0)]
        if any((builder.ground.zone_at(*place) != OPEN).any() for place in around):
            continue
        if any(np.hypot(x - ox, y - oy) < radius + reach for ox, oy, reach in taken):
            continue
        found.append(Earthwork(x, y, radius, rise))
        taken.append((x, y, radius))
        if len(found) == count:
            break
    return found


def with_earthworks(world: World, works: Sequence[Earthwork]) -> World:
    """Return the world with the ground raised or lowered: ``rise (1 - (r / radius)²)²``."""
    vertices = world.vertices.copy()
    ground = np.unique(world.faces[: world.terrain_faces])
    for work in works:
        distance = np.hypot(vertices[ground, 0] - work.x, vertices[ground, 1] - work.y) / work.radius
        vertices[ground, 2] += (work.rise * np.clip(1 - distance**2, 0, 1) ** 2).astype(np.float32)
    return dataclasses.replace(world, vertices=vertices)
