"""The finished scene as flat triangle arrays, ready for ray casting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import classes as c
from imbdense.data.scene.assets.building import build_building
from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.flight import ground_margin
from imbdense.data.scene.ground import GroundPlan, make_ground
from imbdense.data.scene.layout import BuildingPlan, Layout, make_layout
from imbdense.data.scene.mesh import INHERIT, Mesh
from imbdense.data.scene.placement import Placer, SceneObject
from imbdense.data.scene.rng import stream
from imbdense.data.scene.terrain import Terrain, make_terrain


@dataclass(frozen=True)
class World:
    """Triangle soup with labels.

    ``vertices`` float32 (V, 3); ``faces`` uint32 (T, 3), the ``terrain_faces`` first ones are ground (their material
    comes from ``ground`` at the hit point); ``semantic`` uint8 (T,), ``instance`` uint16 (T,) with 0 = none,
    ``color`` float32 (T, 3), ``texture`` uint8 (T,). ``instances``: one record per instance id, from 1; the first
    ``first_object`` ones are buildings.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.uint32]
    terrain_faces: int
    semantic: NDArray[np.uint8]
    instance: NDArray[np.uint16]
    color: NDArray[np.float32]
    texture: NDArray[np.uint8]
    ground: GroundPlan
    instances: tuple[dict[str, Any], ...]
    first_object: int


@dataclass(frozen=True)
class Building:
    """A building as it stands in the scene: its plan and its mesh in scene coordinates."""

    plan: BuildingPlan
    mesh: Mesh


class WorldBuilder:
    """Everything of a scene that does not depend on the number of objects, and :meth:`build` for what does."""

    def __init__(self, config: SceneConfig) -> None:
        margin = ground_margin(config.flight)
        self.config = config
        self.layout: Layout = make_layout(config)
        self.ground: GroundPlan = make_ground(config, self.layout, margin)
        self.terrain: Terrain = make_terrain(config, self.layout, margin)
        self.placer = Placer(config, self.layout, self.ground, self.terrain)
        self.buildings = tuple(self.building(plan, stream(config.seed, 'facade', number))
                               for number, plan in enumerate(self.layout.buildings))

    def building(self, plan: BuildingPlan, rng: np.random.Generator) -> Building:
        """Return the building of ``plan`` on levelled ground; ``rng`` draws its colours and details."""
        level = float(self.terrain.height_at(*plan.footprint.mean(axis=0)))
        return Building(plan, build_building(plan, level, rng))

    def build(self, counts: Mapping[int, int]) -> tuple[World, list[SceneObject]]:
        """Return the world with the wanted number of objects per class, and the objects that found a place."""
        objects = self.placer.place(counts)
        return self.assemble(objects), objects

    def assemble(self, objects: Sequence[SceneObject], buildings: Sequence[Building] | None = None,
                 ground: GroundPlan | None = None) -> World:
        """Return the world of the given scene graph: ``objects`` on this terrain, with the layout's own buildings and
        ground unless others are given.

        Raises:
            ValueError: more than 65535 instances, which a 16-bit instance image cannot hold.
        """
        buildings = self.buildings if buildings is None else buildings
        total = len(buildings) + len(objects)
        if total > 65535:
            raise ValueError(f'the scene holds {total} instances, but a 16-bit instance image can hold 65535; lower '
                             f'mix.object_share or size.')
        meshes = [item.mesh for item in buildings]
        meshes += [item.asset.mesh.placed(item.x, item.y, item.z, item.yaw) for item in objects]
        owners = [c.BUILDING] * len(buildings) + [item.class_id for item in objects]
        vertices, faces = self.terrain.triangles()
        offsets = len(vertices) + np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
        sizes = [len(mesh.faces) for mesh in meshes]
        semantic = [np.where(mesh.semantic == INHERIT, owner, mesh.semantic) for mesh, owner in zip(meshes, owners)]
        count = len(faces)
        return World(
            np.concatenate([vertices, *(mesh.vertices for mesh in meshes)]).astype(np.float32),
            np.concatenate([faces, *(mesh.faces + start for mesh, start in zip(meshes, offsets))]).astype(np.uint32),
            count,
            np.concatenate([np.zeros(count), *semantic]).astype(np.uint8),
            np.concatenate([np.zeros(count), np.repeat(np.arange(1, total + 1), sizes)]).astype(np.uint16),
            np.concatenate([np.zeros((count, 3)), *(mesh.color for mesh in meshes)]).astype(np.float32),
            np.concatenate([np.zeros(count), *(mesh.texture for mesh in meshes)]).astype(np.uint8),
            self.ground if ground is None else ground,
            tuple(self._record(number, buildings, objects) for number in range(total)),
            len(buildings),
        )

    def _record(self, number: int, buildings: Sequence[Building], objects: Sequence[SceneObject]) -> dict[str, Any]:
        """JSON record of one instance."""
        if number < len(buildings):
            plan = buildings[number].plan
            x, y = plan.footprint.mean(axis=0)
            return {'id': number + 1, 'class': c.CLASS_NAMES[c.BUILDING],
                    'position': _round([x, y, self.terrain.height_at(x, y)]), 'yaw_deg': 0.0,
                    'height': _round([plan.height])[0]}
        item = objects[number - len(buildings)]
        return {'id': number + 1, 'class': c.CLASS_NAMES[item.class_id], 'position': _round([item.x, item.y, item.z]),
                'yaw_deg': _round([np.rad2deg(item.yaw) % 360])[0], 'height': _round([item.asset.height])[0]}


def _round(values: Sequence[Any]) -> list[float]:
    """Millimetres are enough for a record."""
    return [round(float(value), 3) for value in values]
