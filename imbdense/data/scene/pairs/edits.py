"""Edit operations on the scene graph: what may differ between the two dates."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from imbdense.data.scene import classes as c
from imbdense.data.scene.assets import Asset
from imbdense.data.scene.layout import BuildingPlan
from imbdense.data.scene.pairs.patches import Patch, draw_patches
from imbdense.data.scene.placement import SceneObject
from imbdense.data.scene.rng import stream
from imbdense.data.scene.world import Building, WorldBuilder

Element = Building | SceneObject | Patch
_VEGETATION = (c.LOW_VEG, c.MEDIUM_VEG, c.HIGH_VEG)


@dataclass(frozen=True)
class Edit:
    """One possible change.

    ``before`` / ``after``: what stands there at the two dates when the edit is made; ``otherwise``: what stands there
    at both dates when it is not. ``kind`` is one of ``EDIT_KINDS``.
    """

    kind: str
    operation: str
    before: tuple[Element, ...] = ()
    after: tuple[Element, ...] = ()
    otherwise: tuple[Element, ...] = ()


def draw_edits(builder: WorldBuilder, objects: Sequence[SceneObject], kinds: Collection[str]
               ) -> tuple[list[Element], list[Edit]]:
    """Return what cannot change, and the possible edits of the wanted ``kinds`` in random order.

    ``objects``: those of the first date. Every building may be built, pulled down (leaving bare soil) or replaced by a
    smaller one; about half of the objects may vanish, some plants grow by 1.2 to 1.7, and about as many new objects
    find a free place as may vanish; patches of open ground are cleared, greened or sealed. Each element has its own
    random stream, so the edits of one kind do not depend on those of another.
    """
    seed = builder.config.seed
    fixed: list[Element] = []
    edits: list[Edit] = [_building_edit(builder, number) for number in range(len(builder.buildings))]
    gone: dict[int, int] = {}
    for item in objects:
        rng = stream(seed, 'edit', item.class_id, item.number)
        kind = 'vegetation' if item.class_id in _VEGETATION else 'object'
        choice = float(rng.uniform())
        if choice < 0.5:
            edits.append(Edit(kind, 'remove', (item,), (), (item,)))
            gone[item.class_id] = gone.get(item.class_id, 0) + 1
        elif choice < 0.7 and kind == 'vegetation':
            edits.append(Edit(kind, 'grow', (item,), (grown(item, float(rng.uniform(1.2, 1.7))),), (item,)))
        else:
            fixed.append(item)
    edits += [Edit('vegetation' if item.class_id in _VEGETATION else 'object', 'add', (), (item,))
              for item in builder.placer.extend(objects, gone)]
    edits += [Edit('land_cover', patch.operation, (), (patch,))
              for patch in draw_patches(builder.config, builder.ground)]
    for edit in edits:
        if edit.kind not in kinds:
            fixed += edit.otherwise
    order = stream(seed, 'edit_order').permutation(len(edits))
    return fixed, [edits[k] for k in order if edits[k].kind in kinds]


def _building_edit(builder: WorldBuilder, number: int) -> Edit:
    """Build, pull down, or replace one building."""
    rng = stream(builder.config.seed, 'building_edit', number)
    building = builder.buildings[number]
    operation = str(rng.choice(['build', 'demolish', 'replace'], p=[0.4, 0.3, 0.3]))
    soil = Patch('clear', building.plan.footprint)
    if operation == 'build':
        return Edit('building', operation, (), (building,), (building,))
    if operation == 'demolish':
        return Edit('building', operation, (building,), (soil,), (building,))
    smaller = builder.building(_smaller(building.plan, rng), rng)
    return Edit('building', operation, (building,), (smaller, soil), (building,))


def _smaller(plan: BuildingPlan, rng: np.random.Generator) -> BuildingPlan:
    """A building of another height and roof inside the old footprint."""
    factor = float(rng.uniform(0.55, 0.85))
    center = plan.footprint.mean(axis=0)
    parts = tuple((center + factor * (place - center), half * factor, angle) for place, half, angle in plan.parts)
    height = min(plan.height * float(rng.uniform(0.7, 2.0)) + 1.0, 30.0)
    roof = str(rng.choice(['flat', 'gable', 'hip', 'shed'])) if parts else 'flat'
    return BuildingPlan(parts, center + factor * (plan.footprint - center), height, roof)


def grown(item: SceneObject, factor: float) -> SceneObject:
    """Return the same plant, larger; its class follows its height (0.5–2, 2–5, over 5 m)."""
    mesh = item.asset.mesh.placed(0.0, 0.0, 0.0, scale=factor)
    asset = Asset(mesh, (item.asset.half[0] * factor, item.asset.half[1] * factor), item.asset.height * factor)
    class_id = c.LOW_VEG if asset.height <= 2 else c.MEDIUM_VEG if asset.height <= 5 else c.HIGH_VEG
    return dataclasses.replace(item, class_id=max(class_id, item.class_id), asset=asset)
