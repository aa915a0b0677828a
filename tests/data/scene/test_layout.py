from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imbdense.data.scene import polygon
from imbdense.data.scene.config import DENSITIES, LayoutConfig, SceneConfig
from imbdense.data.scene.geojson import read_geojson
from imbdense.data.scene.layout import make_layout

SQUARE = [[10, 10], [22, 10], [22, 20], [10, 20], [10, 10]]


def feature(kind: str, coordinates: object, **properties: object) -> dict[str, object]:
    return {'type': 'Feature', 'geometry': {'type': kind, 'coordinates': coordinates}, 'properties': properties}


def write(path: Path, *features: dict[str, object]) -> Path:
    path.write_text(json.dumps({'type': 'FeatureCollection', 'features': list(features)}))
    return path


@pytest.mark.parametrize('density', DENSITIES)
@pytest.mark.parametrize('seed', range(3))
def test_procedural_buildings_stand_in_their_lots_and_off_the_streets(density: str, seed: int) -> None:
    layout = make_layout(SceneConfig(seed=seed, layout=LayoutConfig(density=density)))
    assert layout.roads and layout.lots
    houses = [lot for lot in layout.lots if lot.use == 'house']
    assert len(houses) == len(layout.buildings)
    for lot, plan in zip(houses, layout.buildings):
        cosine, sine = np.cos(lot.angle), np.sin(lot.angle)
        local = np.abs((plan.footprint - lot.center) @ np.array([[cosine, -sine], [sine, cosine]]))
        assert np.all(local <= lot.half + 0.2)
        assert plan.height > 2
        for road in layout.roads:
            start, end = road.points
            step = (end - start) / np.linalg.norm(end - start)
            away = np.abs((plan.footprint - start) @ np.array([-step[1], step[0]]))
            assert away.min() > road.width / 2


def test_suburban_scene_of_120_m_has_about_thirty_buildings() -> None:
    numbers = [len(make_layout(SceneConfig(seed=seed)).buildings) for seed in range(8)]
    assert 20 <= np.mean(numbers) <= 45


def test_airfield_has_an_apron() -> None:
    layout = make_layout(SceneConfig(layout=LayoutConfig(density='airfield')))
    assert sum(lot.use == 'apron' for lot in layout.lots) >= 1


def test_geojson_metres(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.geojson', feature('Polygon', [SQUARE], building='yes', height='9 m'),
                 feature('LineString', [[0, 40], [80, 40]], highway='residential'),
                 feature('LineString', [[0, 50], [80, 50]], highway='primary', width=11),
                 feature('Point', [1, 1], amenity='bench'))
    layout = read_geojson(path, 80, 0)
    assert len(layout.buildings) == 1 and layout.buildings[0].height == 9
    assert polygon.signed_area(layout.buildings[0].footprint) == pytest.approx(120)
    assert [road.width for road in layout.roads] == [7, 11]


def test_geojson_levels_degrees_and_multipolygons(tmp_path: Path) -> None:
    east, north = 9e-5, 1e-4
    square = [[11 + x * east, 48 + y * north] for x, y in ((0, 0), (2, 0), (2, 1), (0, 1), (0, 0))]
    layout = read_geojson(write(tmp_path / 'a.json', feature('MultiPolygon', [[square]], building='house',
                                                             **{'building:levels': 3})), 100, 0)
    plan = layout.buildings[0]
    assert plan.height == pytest.approx(9)
    assert plan.footprint.mean(axis=0) == pytest.approx([50, 50], abs=0.01)
    expected = 2 * 9e-5 * 111320 * np.cos(np.deg2rad(48.00005)) * 11.132
    assert polygon.signed_area(plan.footprint) == pytest.approx(expected, rel=1e-3)


def test_crossing_polygon_becomes_its_hull_with_a_warning(tmp_path: Path) -> None:
    bow = [[10, 10], [20, 20], [20, 10], [10, 20], [10, 10]]
    with pytest.warns(UserWarning, match='crosses itself'):
        layout = read_geojson(write(tmp_path / 'a.json', feature('Polygon', [bow], building='yes')), 50, 0)
    assert polygon.signed_area(layout.buildings[0].footprint) == pytest.approx(100)


@pytest.mark.parametrize(('content', 'words'), [
    ('{"type": "FeatureColl', 'not valid GeoJSON'),
    ('[1, 2]', 'FeatureCollection'),
    ('{"type": "Feature"}', 'FeatureCollection'),
    ('{"type": "FeatureCollection", "features": []}', 'no usable feature'),
    (json.dumps({'type': 'FeatureCollection', 'features': [feature('Polygon', [SQUARE], landuse='x')]}), 'no usable'),
    (json.dumps({'type': 'FeatureCollection', 'features': [
        feature('Polygon', [[[900, 900], [920, 900], [920, 910]]], building='yes')]}), 'no usable'),
    (json.dumps({'type': 'FeatureCollection', 'features': [{'type': 'Feature', 'geometry': None,
                                                            'properties': {'building': 'yes'}}]}), 'no usable'),
])
def test_unusable_files_are_named(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / 'bad.geojson'
    path.write_text(content)
    with pytest.raises(ValueError, match=words) as caught:
        read_geojson(path, 100, 0)
    assert 'bad.geojson' in str(caught.value)
