"""Filters on files: equal to those in memory, in square metres, and the layers of a pair tell one story."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

rasterio = pytest.importorskip('rasterio')

from rasterio.crs import CRS  # noqa: E402
from rasterio.transform import Affine  # noqa: E402

from imbdense.data.change.map_filters import minimum_mapping_unit, polygon_majority  # noqa: E402
from imbdense.data.raster.grid import Grid  # noqa: E402
from imbdense.data.raster.map_filters import UNKNOWN_KIND, MapFilters, filter_layers  # noqa: E402
from tests.helpers.raster_scene import TRANSFORM, read_map, write_raster  # noqa: E402

COVERS = 3
HEIGHT, WIDTH = 600, 2100
"""More than one row of blocks, and more than one read window wide."""


def grid(crs: str | None = 'EPSG:32633', transform: tuple[float, ...] = TRANSFORM) -> Grid:
    return Grid(CRS.from_string(crs) if crs else None, Affine(*transform), HEIGHT, WIDTH)


def patches(classes: int, seed: int, noise: float = 0.03) -> np.ndarray:
    """Blocks of classes with single other pixels, and a hole of "no data"."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, (HEIGHT // 20, WIDTH // 20)).repeat(20, 0).repeat(20, 1)
    label = np.where(rng.random(label.shape) < noise, rng.integers(0, classes, label.shape), label).astype(np.uint8)
    label[100:130, 200:260] = 255
    return label


def store(folder: Path, layers: dict[str, np.ndarray]) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return {
        name: Path(write_raster(folder / f'{name}.tif', values[None], nodata=65535 if name == 'from_to' else 255))
        for name, values in layers.items()
    }


def pair() -> dict[str, np.ndarray]:
    """Land cover of two dates that differ in large blocks and in single pixels."""
    first, second = patches(COVERS, 0, 0.0), patches(COVERS, 0)
    second[20:60, 40:90] = (first[20:60, 40:90] + 1) % COVERS
    second[(first == 255)] = 255
    second[200, 300] = (first[200, 300] + 1) % COVERS
    change = (first != second).astype(np.uint8)
    kind = np.where(change == 1, 1 + first.astype(int) * COVERS + second, 0).astype(np.uint16)
    change[first == 255], kind[first == 255] = 255, 65535
    return {'change': change, 'label_t1': first, 'label_t2': second, 'from_to': kind}


def square(left: float, top: float, width: float, height: float) -> dict[str, Any]:
    right, bottom = left + width, top - height
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    return {'type': 'Polygon', 'coordinates': [ring]}


def geojson(path: Path, shapes: list[dict[str, Any]]) -> str:
    features = [{'type': 'Feature', 'properties': {}, 'geometry': shape} for shape in shapes]
    crs = {'type': 'name', 'properties': {'name': 'EPSG:32633'}}
    path.write_text(json.dumps({'type': 'FeatureCollection', 'crs': crs, 'features': features}))
    return str(path)


def test_one_date_is_filtered_as_in_memory(tmp_path: Path) -> None:
    label = patches(4, 3)
    files = store(tmp_path / 'in', {'label': label})
    shapes = [square(500_000 + 2 * 31, 5_300_000 - 3 * 17, 2 * 400, 3 * 530), square(504_000, 5_299_400, 180, 900)]
    path = geojson(tmp_path / 'parcels.geojson', shapes)
    both = MapFilters.of(grid(), 60.0, path, 0.25)  # pixels of 6 m²
    found = filter_layers(files, tmp_path / 'out', both)
    voted = polygon_majority(label, shapes, Affine(*TRANSFORM), least_share=0.25)
    expected = minimum_mapping_unit(voted, 6.0, 60.0, label != 255)
    assert not np.array_equal(voted, label)
    assert not np.array_equal(expected, voted)
    assert np.array_equal(read_map(found['label']), expected)
    again = filter_layers(files, tmp_path / 'again', both)
    assert found['label'].read_bytes() == again['label'].read_bytes()
    assert both.facts['least_area_m2'] == 60.0 and both.facts['polygons'] == 'parcels.geojson'


def patch_sizes(label: np.ndarray, part: np.ndarray) -> list[int]:
    from scipy.ndimage import label as connected

    sizes: list[int] = []
    for klass in np.unique(label[part]):
        found, _ = connected((label == klass) & part)
        sizes += np.bincount(found.ravel())[1:].tolist()
    return sizes


def test_layers_of_a_pair_tell_one_story(tmp_path: Path) -> None:
    before = pair()
    found = filter_layers(store(tmp_path / 'in', before), tmp_path / 'out', MapFilters.of(grid(), 600.0), COVERS)
    after = {name: read_map(path) for name, path in found.items()}
    valid = before['change'] != 255
    for name, values in after.items():
        assert np.array_equal(values == (65535 if name == 'from_to' else 255), ~valid), name
    changed = (after['change'] == 1) & valid
    assert np.array_equal(changed, (after['from_to'] > 0) & valid)
    told = 1 + after['label_t1'].astype(int) * COVERS + after['label_t2']
    assert np.array_equal(after['from_to'][changed], told[changed])
    assert np.array_equal(after['label_t1'][valid & ~changed], after['label_t2'][valid & ~changed])
    assert min(patch_sizes(after['change'], valid)) >= 100  # pixels of 6 m²
    assert min(patch_sizes(after['from_to'], changed)) >= 100
    assert 0 < changed.sum() < (before['change'] == 1).sum()


def test_pixels_that_only_a_polygon_made_changed_are_of_unknown_kind(tmp_path: Path) -> None:
    layers = pair()
    layers['change'][300:340, 800:840] = 1
    layers['from_to'][300:340, 800:840] = 2
    layers['label_t1'][300:340, 800:840], layers['label_t2'][300:340, 800:840] = 0, 1
    layers['change'][310, 810], layers['from_to'][310, 810], layers['label_t2'][310, 810] = 0, 0, 0
    path = geojson(tmp_path / 'one.geojson', [square(500_000 + 2 * 800, 5_300_000 - 3 * 300, 80, 120)])
    files = store(tmp_path / 'in', layers)
    alone = filter_layers(files, tmp_path / 'alone', MapFilters.of(grid(), 0.0, path, 0.9999), COVERS)
    assert read_map(alone['change'])[310, 810] == 0  # 1599 of 1600 are fewer than that share
    sure = filter_layers(files, tmp_path / 'sure', MapFilters.of(grid(), 0.0, path, 0.9), COVERS)
    assert read_map(sure['change'])[310, 810] == 1
    assert read_map(sure['from_to'])[310, 810] == 2, 'the transition of the polygon'
    layers['from_to'][300:320, 800:840] = 6
    layers['from_to'][310, 810] = 0
    mixed = filter_layers(store(tmp_path / 'mixed_in', layers), tmp_path / 'mixed', MapFilters.of(grid(), 0.0, path),
                          COVERS)
    assert read_map(mixed['from_to'])[310, 810] == UNKNOWN_KIND
    assert read_map(mixed['label_t2'])[310, 810] == 0, 'the labels stay what the model said'


def test_degrees_are_measured_row_by_row(tmp_path: Path) -> None:
    """A pixel at 60 degrees north has half the area of one at the equator: 3 pixels are enough there, 4 here."""
    place = (0.001, 0.0, 10.0, 0.0, -0.1, 60.0)  # rows from 60 degrees north to the equator
    where = grid('EPSG:4326', place)
    label = np.zeros((HEIGHT, WIDTH), np.uint8)
    label[2, 10:14] = label[590, 10:14] = 1
    files = {'label': Path(write_raster(tmp_path / 'label.tif', label[None], nodata=255, crs='EPSG:4326',
                                        transform=Affine(*place)))}
    pixel = 111_320 * 0.001 * 111_320 * 0.1
    found = read_map(filter_layers(files, tmp_path / 'out', MapFilters.of(where, 3 * pixel))['label'])
    assert not found[2].any() and found[590, 10:14].all()


def test_messages(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='needs a raster with a coordinate system'):
        MapFilters.of(grid(None), 10.0)
    path = geojson(tmp_path / 'far.geojson', [square(0, 10, 5, 5)])
    with pytest.raises(ValueError, match=r'far\.geojson: no polygon touches the raster'):
        MapFilters.of(grid(), 0.0, path)
    with pytest.raises(ValueError, match='raster without a coordinate system'):
        MapFilters.of(grid(None), 0.0, path)
    with pytest.raises(ValueError, match='least_share'):
        MapFilters.of(grid(), 0.0, path, 1.5)
