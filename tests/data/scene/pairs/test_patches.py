from __future__ import annotations

import numpy as np

from imbdense.data.scene import ground as g
from imbdense.data.scene.ground import GroundPlan
from imbdense.data.scene.pairs.patches import Patch, draw_patches, patch_raster, patched_ground
from imbdense.data.scene.world import WorldBuilder
from tests.data.scene.pairs.conftest import small_pair

SQUARE = np.array([[2.0, 2.0], [6.0, 2.0], [6.0, 6.0], [2.0, 6.0]])


def ground(material: int) -> GroundPlan:
    """A bare ground of 10 m with one street in the south."""
    raster = np.full((100, 100), material, np.uint8)
    raster[70:] = g.ASPHALT
    return GroundPlan(0.0, 10.0, 0.1, raster, 0.5, np.zeros((20, 20), np.uint8), np.zeros((8, 3), np.float32))


def test_a_patch_turns_its_materials_inside_its_outline_only() -> None:
    plan = ground(g.GRASS)
    after = patched_ground(plan, [Patch('clear', SQUARE)])
    changed = after.material != plan.material
    assert set(after.material[changed]) == {g.DIRT}
    rows, columns = np.nonzero(changed)  # row 0 is the north: y = 10 - 0.1 (row + 0.5); the street (y < 3) stays
    assert 39 <= rows.min() <= 40 and rows.max() == 69 and 19 <= columns.min() <= 20 and 59 <= columns.max() <= 60
    assert plan.material[50, 50] == g.GRASS


def test_of_two_patches_the_later_one_counts_and_each_reads_the_ground_before() -> None:
    plan = ground(g.DIRT)
    after = patched_ground(plan, [Patch('green', SQUARE), Patch('seal', SQUARE + 2)])
    assert after.material_at(np.array([3.0]), np.array([5.0]))[0] == g.GRASS
    assert after.material_at(np.array([5.0]), np.array([5.0]))[0] == g.CONCRETE
    assert patch_raster(plan, [Patch('green', SQUARE)]).max() == 1
    assert patched_ground(plan, []) is plan


def test_drawn_patches_lie_apart_and_start_on_open_ground() -> None:
    config = small_pair().scene
    builder = WorldBuilder(config)
    patches = draw_patches(config, builder.ground)
    assert len(patches) >= 5 and {patch.operation for patch in patches} <= {'clear', 'green', 'seal'}
    covered = sum((patch_raster(builder.ground, [patch]) > 0).astype(int) for patch in patches)
    assert covered.max() == 1
    again = draw_patches(config, builder.ground)
    assert all(np.array_equal(a.outline, b.outline) for a, b in zip(patches, again))
