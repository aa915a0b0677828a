from __future__ import annotations

import numpy as np
import pytest

from imbdense.data.scene import classes as c
from imbdense.data.scene import polygon
from imbdense.data.scene.assets import build_asset
from imbdense.data.scene.assets.building import build_building
from imbdense.data.scene.layout import BuildingPlan
from imbdense.data.scene.rng import stream

SIZES = {  # longest side, shortest side, height: (low, high) in m, with room for wheels and mirrors
    c.VEHICLE: ((3.8, 5.1), (1.65, 2.0), (1.35, 1.9)), c.TRUCK: ((4.9, 12.2), (2.1, 2.6), (1.0, 4.2)),
    c.AIRCRAFT: ((8, 24), (7.9, 22.5), (2.0, 5.5)), c.BIKE: ((1.5, 2.0), (0.3, 0.6), (0.95, 1.25)),
    c.MOTORCYCLE: ((1.8, 2.4), (0.7, 1.1), (1.0, 1.35)), c.FENCE: ((5.9, 20.3), (0.1, 0.35), (0.9, 2.2)),
    c.LOW_VEG: ((0.3, 3.2), (0.3, 3.2), (0.4, 2.6)), c.MEDIUM_VEG: ((1.0, 7.5), (1.0, 7.5), (1.8, 6.4)),
    c.HIGH_VEG: ((1.8, 13.0), (1.8, 13.0), (4.8, 17.5)),
}


@pytest.mark.parametrize('class_id', c.OBJECT_CLASSES)
def test_assets_are_finite_labelled_small_and_deterministic(class_id: int) -> None:
    for k in range(12):
        asset = build_asset(class_id, stream(1, 'asset', class_id, k))
        mesh = asset.mesh
        assert np.isfinite(mesh.vertices).all() and len(mesh.faces) == len(mesh.color) == len(mesh.texture)
        assert mesh.faces.min() >= 0 and mesh.faces.max() < len(mesh.vertices)
        assert len(mesh.faces) <= 260
        assert (mesh.color >= 0).all() and (mesh.color <= 1.05).all() and (mesh.semantic == 255).all()
        twin = build_asset(class_id, stream(1, 'asset', class_id, k))
        assert np.array_equal(twin.mesh.vertices, mesh.vertices)


@pytest.mark.parametrize('class_id', list(SIZES))
def test_sizes_are_those_of_the_table(class_id: int) -> None:
    for k in range(30):
        extent = np.ptp(build_asset(class_id, stream(2, 'asset', class_id, k)).mesh.vertices, axis=0)
        sides = (extent[:2].max(), extent[:2].min(), extent[2])
        for value, (low, high) in zip(sides, SIZES[class_id]):
            assert low <= value <= high, (class_id, k, sides)


def test_object_scale_changes_cars_but_not_trees() -> None:
    for class_id, factor in ((c.VEHICLE, 0.5), (c.BIKE, 0.5), (c.STREET_SIGN, 0.5), (c.HIGH_VEG, 1.0), (c.FENCE, 1.0)):
        full, half = (build_asset(class_id, stream(0, 'asset', class_id, 0), scale) for scale in (1.0, 0.5))
        assert half.height / full.height == pytest.approx(factor, rel=0.12)


@pytest.mark.parametrize('roof', ['flat', 'gable', 'hip', 'shed'])
@pytest.mark.parametrize('half', [(8.0, 5.0), (5.0, 8.0)])
def test_roof_closes_the_building_seen_from_above(roof: str, half: tuple[float, float]) -> None:
    center = np.array([20.0, 30.0])
    plan = BuildingPlan(((center, np.array(half), 0.3),), polygon.rectangle(center, half, 0.3), 6.0, roof)
    mesh = build_building(plan, 2.0, stream(0, 'facade', 0))
    assert mesh.vertices[:, 2].max() > 7.9 and (mesh.semantic == c.WINDOWS).sum() > 0
    roof_faces = mesh.vertices[mesh.faces]
    upward = np.abs(np.cross(roof_faces[:, 1] - roof_faces[:, 0], roof_faces[:, 2] - roof_faces[:, 0])[:, 2]) / 2
    high = roof_faces[:, :, 2].min(axis=1) > 5.0
    assert upward[high].sum() >= 4 * half[0] * half[1] * 0.99


def test_general_footprint_is_extruded() -> None:
    outline = np.array([[0, 0], [12, 0], [12, 5], [6, 5], [6, 11], [0, 11]], float)
    mesh = build_building(BuildingPlan((), outline, 7.0, 'flat'), 1.0, stream(0, 'facade', 0))
    top = mesh.vertices[mesh.faces][np.all(mesh.vertices[mesh.faces][:, :, 2] == 8.0, axis=1)]
    assert sum(abs(polygon.signed_area(face[:, :2])) for face in top) == pytest.approx(polygon.signed_area(outline))
