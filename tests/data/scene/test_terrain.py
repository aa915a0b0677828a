from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imbdense.data.scene import polygon
from imbdense.data.scene.config import SceneConfig, TerrainConfig
from imbdense.data.scene.ground import MATERIAL_CLASS, STREET, make_ground
from imbdense.data.scene.layout import make_layout
from imbdense.data.scene.terrain import Terrain, make_terrain


def config(**terrain: object) -> SceneConfig:
    return SceneConfig(seed=2, size=80).changed(terrain={'relief': 10.0} | terrain)


def test_bilinear_height_hand_example() -> None:
    terrain = Terrain(10.0, 2.0, np.array([[0.0, 2.0], [4.0, 6.0]]))
    assert float(terrain.height_at(11, 11)) == pytest.approx(3)
    assert float(terrain.height_at(12, 10)) == pytest.approx(2)
    assert float(terrain.height_at(10, 12)) == pytest.approx(4)
    assert float(terrain.height_at(-99, -99)) == pytest.approx(0)


def test_triangles_are_the_surface_and_look_up() -> None:
    terrain = Terrain(0.0, 1.0, np.random.default_rng(0).random((5, 5)))
    vertices, faces = terrain.triangles()
    assert len(faces) == 2 * 16
    assert np.allclose(terrain.height_at(vertices[:, 0], vertices[:, 1]), vertices[:, 2])
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    assert np.all(np.cross(b - a, c - a)[:, 2] > 0)


def test_streets_are_smooth_and_buildings_level() -> None:
    scene = config()
    layout = make_layout(scene)
    terrain = make_terrain(scene, layout, 20)
    wild = make_terrain(scene, type(layout)((), (), ()), 20)
    lines = []
    for road in layout.roads:
        length = float(np.linalg.norm(road.points[1] - road.points[0]))
        place = road.points[0] + np.outer(np.arange(0, length, 1.0), (road.points[1] - road.points[0]) / length)
        lines.append(place[np.all((place > 5) & (place < 75), axis=1)])
    place = max(lines, key=len)
    bend = [np.abs(np.diff(t.height_at(*place.T), 2)).mean() for t in (terrain, wild)]
    assert len(place) > 30 and bend[0] < 0.5 * bend[1]
    for plan in layout.buildings:
        corners = polygon.rectangle(*polygon.bounding_rectangle(plan.footprint))
        assert np.ptp(terrain.height_at(*corners.T)) < 0.6


def test_relief_and_dirt_dials() -> None:
    layout = make_layout(config())
    flat = make_terrain(config(relief=0.0), layout, 10)
    assert np.ptp(flat.heights) == 0
    shares = []
    for share in (0.0, 0.3, 1.0):
        ground = make_ground(config(dirt_share=share, unlabelled_ground=0.0), layout, 10)
        open_ground = np.isin(MATERIAL_CLASS[ground.material], (18, 19))
        shares.append(float((MATERIAL_CLASS[ground.material] == 18).sum() / open_ground.sum()))
    assert shares[0] == 0 and shares[1] == pytest.approx(0.3, abs=0.1) and shares[2] > 0.99


def test_unlabelled_ground_changes_labels_but_not_looks() -> None:
    layout = make_layout(config())
    labelled, bare = (make_ground(config(unlabelled_ground=p), layout, 10) for p in (0.0, 1.0))
    assert (MATERIAL_CLASS[bare.material] == 0).mean() > (MATERIAL_CLASS[labelled.material] == 0).mean() + 0.2
    assert np.array_equal(labelled.colors[labelled.material], bare.colors[bare.material])


def test_centre_lines_are_street_in_both_rasters() -> None:
    scene = config()
    layout = make_layout(scene)
    ground = make_ground(scene, layout, 10)
    for road in layout.roads:
        middle = road.points.mean(axis=0)
        x, y = (np.array([value]) for value in middle)
        if np.all((middle > 0) & (middle < 80)):
            assert MATERIAL_CLASS[ground.material_at(x, y)][0] == 15 and ground.zone_at(x, y)[0] == STREET


def test_measured_elevation_replaces_the_relief(tmp_path: Path) -> None:
    rasterio = pytest.importorskip('rasterio')
    ramp = np.tile(np.linspace(100, 120, 50, dtype=np.float32), (50, 1))
    ramp[0, 0] = -9999
    path = tmp_path / 'dsm.tif'
    with rasterio.open(path, 'w', driver='GTiff', width=50, height=50, count=1, dtype='float32', nodata=-9999) as file:
        file.write(ramp, 1)
    scene = SceneConfig(size=60, terrain=TerrainConfig(dsm=str(path)))
    terrain = make_terrain(scene, type(make_layout(scene))((), (), ()), 0)
    assert np.ptp(terrain.heights) == pytest.approx(20, abs=0.5)
    assert float(terrain.height_at(55, 30)) > float(terrain.height_at(5, 30)) + 15
    path.write_bytes(b'no tiff')
    with pytest.raises(ValueError, match=r'dsm\.tif'):
        make_terrain(scene, make_layout(scene), 0)
