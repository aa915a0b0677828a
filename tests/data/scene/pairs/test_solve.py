from __future__ import annotations

import functools

import numpy as np
import pytest

from imbdense.data.scene import classes as c
from imbdense.data.scene.camera import OrthoCamera
from imbdense.data.scene.dial import solve_mix
from imbdense.data.scene.pairs.config import PairConfig
from imbdense.data.scene.pairs.edits import draw_edits
from imbdense.data.scene.pairs.solve import EditedPair, Epoch, changed, land_cover, solve_edits, top_of
from imbdense.data.scene.placement import SceneObject
from imbdense.data.scene.world import WorldBuilder
from tests.data.scene.pairs.conftest import small_pair

pytest.importorskip('open3d')


@functools.lru_cache(maxsize=4)
def first_date(seed: int) -> tuple[WorldBuilder, OrthoCamera, tuple[SceneObject, ...]]:
    """What all pairs of one seed share."""
    config = small_pair(scene={'seed': seed})
    builder = WorldBuilder(config.scene)
    camera = OrthoCamera(config.scene.size, config.count, top_of(builder))
    return builder, camera, solve_mix(config.scene, builder, [camera]).objects


def solved(config: PairConfig) -> tuple[EditedPair, OrthoCamera]:
    """A pair without its files."""
    builder, camera, objects = first_date(config.scene.seed)
    kinds = [kind for kind, weight in config.edits.items() if weight > 0]
    return solve_edits(config, builder, *draw_edits(builder, objects, kinds)), camera


@pytest.mark.parametrize('share', [0.01, 0.05, 0.2])
@pytest.mark.parametrize('seed', [0, 1, 2])
def test_the_asked_share_of_changed_pixels_is_met(share: float, seed: int) -> None:
    config = small_pair(change_share=share, scene={'seed': seed})
    pair, camera = solved(config)
    first, second = (land_cover(config, epoch, camera)[0] for epoch in pair.epochs)
    counted = float((first != second).mean())
    assert counted == pytest.approx(pair.share, abs=1e-9)
    assert abs(counted - share) <= 0.1 * share


def test_no_share_asked_no_edit_made() -> None:
    config = small_pair(change_share=0.0)
    pair, camera = solved(config)
    first, second = (land_cover(config, epoch, camera)[0] for epoch in pair.epochs)
    assert pair.made == () and np.array_equal(first, second)


def test_one_kind_alone_changes_what_it_says() -> None:
    config = small_pair(change_share=0.03, edits={'land_cover': 1.0})
    pair, camera = solved(config)
    first, second = (land_cover(config, epoch, camera)[0] for epoch in pair.epochs)
    names = np.array(c.MAPPINGS['land_cover'].classes)
    where = first != second
    assert where.any() and set(names[first[where]]) | set(names[second[where]]) <= {'grass', 'bare_soil', 'sealed'}
    assert {edit.kind for edit, _ in pair.made} == {'land_cover'}


def test_labels_are_those_of_the_highest_triangle() -> None:
    """A slow reference: every triangle of the world is tried under a sample of pixels, for both dates."""
    config = small_pair(change_share=0.2)
    pair, camera = solved(config)
    rng = np.random.default_rng(0)
    origin, _ = camera.rays()
    for epoch in pair.epochs:
        label, _, _ = land_cover(config, epoch, camera)
        sample = rng.integers(0, len(origin), 40)
        slow = np.array([reference(config, epoch, float(x), float(y)) for x, y, _ in origin[sample]])
        assert (slow == label[sample]).mean() >= 0.97  # a ray through an edge may go either way


def reference(config: PairConfig, epoch: Epoch, x: float, y: float) -> int:
    """Training class at (x, y) by barycentric coordinates."""
    world = epoch.world
    a, b, d = (world.vertices[world.faces[:, k]].astype(np.float64) for k in range(3))
    u, v, w = b - a, d - a, np.array([x, y]) - a[:, :2]
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    upright = np.abs(area) < 1e-12
    area = np.where(upright, 1.0, area)
    s = (w[:, 0] * v[:, 1] - w[:, 1] * v[:, 0]) / area
    t = (u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]) / area
    inside = ~upright & (s >= 0) & (t >= 0) & (s + t <= 1)
    height = np.where(inside, a[:, 2] + s * u[:, 2] + t * v[:, 2], -np.inf)
    face = int(height.argmax())
    if face < world.terrain_faces:
        from imbdense.data.scene.ground import MATERIAL_CLASS

        raw = int(MATERIAL_CLASS[world.ground.material_at(np.array([x]), np.array([y]))[0]])
    else:
        raw = int(world.semantic[face])
    return int(c.MAPPINGS[config.mapping].table()[raw])


def test_change_is_unknown_where_either_date_is() -> None:
    first, second = np.array([0, 0, 255, 1], np.uint8), np.array([0, 1, 1, 255], np.uint8)
    assert changed(first, second).tolist() == [0, 1, 255, 255]
