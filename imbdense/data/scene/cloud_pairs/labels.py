"""The change class of every point, from the difference of the two scene graphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import classes as c
from imbdense.data.scene.cloud_pairs.config import (
    CHANGE_CLASSES,
    DEMOLITION,
    GROWTH,
    IGNORED,
    MISSING_VEGETATION,
    MOBILE,
    UNCHANGED,
)
from imbdense.data.scene.cloud_pairs.edits import Earthwork
from imbdense.data.scene.clouds.fusion import Cloud
from imbdense.data.scene.ground import GroundPlan
from imbdense.data.scene.pairs.edits import Edit
from imbdense.data.scene.pairs.solve import Epoch
from imbdense.data.scene.placement import SceneObject
from imbdense.data.scene.terrain import Terrain
from imbdense.data.scene.world import Building

_REVEALED = (MOBILE, MISSING_VEGETATION, DEMOLITION)
"""What can lay ground bare; where several did, the last one counts."""
_GONE = (DEMOLITION, MISSING_VEGETATION, MOBILE, GROWTH)
"""Classes that objects of the first date can have."""


@dataclass(frozen=True)
class ChangeMap:
    """``made``: the edits of the pair with their numbers; ``ground``: number + 1 of the edit that laid it bare, int32
    raster on the grid of ``plan.material``, 0 = none."""

    made: dict[int, Edit]
    works: tuple[Earthwork, ...]
    plan: GroundPlan
    terrain: Terrain
    ground: NDArray[np.int32]

    def label(self, cloud: Cloud, epoch: Epoch, date: int) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
        """Return the change class (N,) and the edit number (N,), -1 = none, of the points of date 0 or 1.

        Date 1 (the second): points of new, grown or moved things have the class of their edit (of an extended building
        those above the old eaves); ground that was under something removed has the class of that removal, ground
        inside the footprint of a demolished building is demolition. Date 0: points of what will be gone, move or grow.
        Ground of earthworks is -1. Classes come from instance and place of a point, so a fused point of two surfaces
        has the class of its majority.
        """
        edit = epoch.owner[np.maximum(cloud.instance, 0)]
        label = np.full(len(cloud), UNCHANGED, np.int8)
        for number, item in self.made.items():
            mine = edit == number
            kind = CHANGE_CLASSES.index(item.kind)
            if item.operation == 'extend':
                mine &= cloud.xyz[:, 2] > self._old_eaves(item) if date == 1 else False
            elif date == 0 and kind not in _GONE:
                mine &= False
            label[mine] = kind
        bare = np.flatnonzero((cloud.instance < 0) & np.isin(cloud.semantic, (c.GROUND, c.ROAD, c.DIRT, c.GRASS)))
        if date == 1:
            found = self._ground_at(cloud.xyz[bare]) - 1
            revealed = found >= 0
            edit[bare[revealed]] = found[revealed]
            kinds = np.array([CHANGE_CLASSES.index(self.made[number].kind) for number in found[revealed]], np.int8)
            label[bare[revealed]] = kinds
        for work in self.works:
            label[bare[work.inside(cloud.xyz[bare, :2])]] = IGNORED
        return label, np.where(label > 0, edit, -1)

    def _old_eaves(self, edit: Edit) -> float:
        """Height of the eaves before an extension."""
        building = edit.before[0]
        if not isinstance(building, Building):
            raise TypeError('an extension is of a building')
        return float(self.terrain.height_at(*building.plan.footprint.mean(axis=0))) + building.plan.height

    def _ground_at(self, xyz: NDArray[np.float64]) -> NDArray[np.int32]:
        """Raster value at points."""
        last = self.ground.shape[0] - 1
        rows = np.clip(((self.plan.high - xyz[:, 1]) / self.plan.cell).astype(np.int64), 0, last)
        columns = np.clip(((xyz[:, 0] - self.plan.low) / self.plan.cell).astype(np.int64), 0, last)
        return self.ground[rows, columns]


def change_map(made: dict[int, Edit], works: Sequence[Earthwork], plan: GroundPlan, terrain: Terrain) -> ChangeMap:
    """Draw the outlines of what is removed or moved away: footprints of buildings, the triangles of all else from
    above. Vegetation is drawn over mobile objects, buildings over both."""
    from PIL import Image, ImageDraw

    image = Image.new('I', (plan.material.shape[1], plan.material.shape[0]))
    draw = ImageDraw.Draw(image)

    def fill(outline: NDArray[np.float64], number: int) -> None:
        columns = (outline[:, 0] - plan.low) / plan.cell - 0.5
        rows = (plan.high - outline[:, 1]) / plan.cell - 0.5
        draw.polygon([(float(column), float(row)) for column, row in zip(columns, rows)], fill=number + 1)

    for kind in _REVEALED:
        for number, edit in made.items():
            if CHANGE_CLASSES.index(edit.kind) != kind:
                continue
            for item in edit.before:
                if isinstance(item, Building):
                    fill(item.plan.footprint, number)
                elif isinstance(item, SceneObject):
                    mesh = item.asset.mesh.placed(item.x, item.y, item.z, item.yaw)
                    for triangle in mesh.vertices[mesh.faces][:, :, :2]:
                        fill(triangle, number)
    return ChangeMap(made, tuple(works), plan, terrain, np.array(image, np.int32))
