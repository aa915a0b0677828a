"""Tiles of rasters: places, edges, nodata, memory, and the pool that selectors read."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imbdense.core.selection import BinnedClusterSelector
from imbdense.data.object_pool import open_pool
from imbdense.data.tile_pool import TilePool

rasterio = pytest.importorskip('rasterio')


def write(path: Path, values: np.ndarray, nodata: float | None = None) -> Path:
    """(H, W, C) as a GeoTIFF in blocks of 16."""
    height, width, bands = values.shape
    with rasterio.open(path, 'w', driver='GTiff', height=height, width=width, count=bands, dtype=values.dtype,
                       nodata=nodata, tiled=True, blockxsize=16, blockysize=16) as target:
        target.write(values.transpose(2, 0, 1))
    return path


def means(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Mean of each band over the valid pixels."""
    weight = valid[..., None]
    return (values * weight).sum((1, 2)) / weight.sum((1, 2))


@pytest.fixture
def raster(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """40 x 70, three bands, without data in the first 16 x 16 and half of the second."""
    values = np.random.default_rng(0).integers(1, 200, (40, 70, 3)).astype(np.uint8)
    values[:16, :24] = 0
    return write(tmp_path / 'scene.tif', values, nodata=0), values


def test_places_and_edges(raster: tuple[Path, np.ndarray]) -> None:
    path, values = raster
    tiles = list(TilePool([path], size=16, stride=16).tiles())
    assert len(tiles) == 3 * 5
    assert [tile.window for tile in tiles][4:6] == [(0, 64, 16, 6), (16, 0, 16, 16)]
    for tile in tiles:
        row, column, height, width = tile.window
        assert np.array_equal(tile.values[:height, :width], values[row : row + height, column : column + width])
        assert not tile.values[height:].any() and not tile.valid[height:].any() and not tile.valid[:, width:].any()
        assert np.array_equal(tile.valid[:height, :width], (tile.values[:height, :width] != 0).all(2))


def test_overlapping_tiles_and_bands(raster: tuple[Path, np.ndarray]) -> None:
    path, values = raster
    pool = TilePool({'north': path}, size=16, stride=8, bands=[3, 1])
    assert pool.names[:2] == ['north_0_0', 'north_0_8'] and len(pool) == 5 * 9
    (tile,) = pool.tiles([10])
    assert np.array_equal(tile.values, values[8:24, 8:24][..., [2, 0]])


def test_the_pool(raster: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, values = raster
    other = write(tmp_path / 'other.tif', values[16:32, 16:64])
    folder = TilePool([path, other], size=16, stride=16).write(
        tmp_path / 'pool', means, batch_size=4, dtype='float32')
    pool = open_pool(folder)
    # left out: (0, 0) is empty, column 64 has 6 of 16 columns, row 32 has 8 of 16 rows and stays, but not its corner
    assert list(pool.image_ids) == [
        'scene_0_16', 'scene_0_32', 'scene_0_48', 'scene_16_0', 'scene_16_16', 'scene_16_32', 'scene_16_48',
        'scene_32_0', 'scene_32_16', 'scene_32_32', 'scene_32_48', 'other_0_0', 'other_0_16', 'other_0_32',
    ]  # fmt: skip
    assert pool.img_group.tolist() == [0] * 11 + [1] * 3
    assert pool.obj_box[1].tolist() == [32, 0, 48, 16] and pool.obj_class.tolist() == [-1] * 14
    assert pool.obj_area[[0, 1, 7]].tolist() == [128, 256, 128]
    assert np.allclose(pool.obj_feat[1], values[:16, 32:48].mean((0, 1)), atol=1e-3)
    assert np.allclose(pool.obj_feat[0], values[:16, 24:32].mean((0, 1)), atol=1e-3)
    assert len(BinnedClusterSelector()(pool, 6)) == 6


def test_a_killed_run_goes_on(raster: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, _ = raster
    seen: list[int] = []

    def failing(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
        seen.append(len(values))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return means(values, valid)

    pool = TilePool([path], size=16, stride=16)
    with pytest.raises(KeyboardInterrupt):
        pool.write(tmp_path / 'pool', failing, batch_size=2)
    pool.write(tmp_path / 'pool', failing, batch_size=2)
    assert sum(seen) == 11 + 2  # the batch that was killed is done again, nothing else
    pool.write(tmp_path / 'whole', means, batch_size=2)
    first, second = open_pool(tmp_path / 'pool'), open_pool(tmp_path / 'whole')
    assert np.array_equal(first.obj_feat, second.obj_feat) and first.fingerprint == second.fingerprint


def test_memory_does_not_grow_with_the_raster(tmp_path: Path) -> None:
    """64 MB of pixels, 4 tiles of 256 at a time: below 8 MB of arrays."""
    path = tmp_path / 'large.tif'
    with rasterio.open(path, 'w', driver='GTiff', height=8192, width=8192, count=1, dtype='uint8', tiled=True,
                       blockxsize=256, blockysize=256, sparse_ok=True) as target:
        target.write(np.full((1, 256, 256), 7, np.uint8), window=((0, 256), (0, 256)))
    tracemalloc.start()
    TilePool([path]).write(tmp_path / 'pool', lambda values, valid: values.mean((1, 2)), batch_size=4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(open_pool(tmp_path / 'pool').image_ids) == 1024 and peak < 8e6


def test_errors(raster: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, _ = raster
    (tmp_path / 'b').mkdir()
    copy = tmp_path / 'b' / 'scene.tif'
    copy.write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match='same file name'):
        TilePool([path, copy])
    with pytest.raises(ValueError, match='at least one'):
        TilePool([])
    with pytest.raises(OSError, match=r'missing\.tif'):
        TilePool([tmp_path / 'missing.tif'])

    def wrong(values: Any, valid: Any) -> np.ndarray:
        return np.zeros((1, 3))

    with pytest.raises(ValueError, match=r'\(B, D\)'):
        TilePool([path], size=16, stride=16).write(tmp_path / 'pool', wrong)
