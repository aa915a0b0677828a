"""Finished units: whole or absent, and never mixed with those of another job."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

rasterio = pytest.importorskip('rasterio')

from imbdense.data.job_settings import OtherJob  # noqa: E402
from imbdense.data.raster.cog import Band, write_cog, write_mosaic  # noqa: E402
from imbdense.data.raster.grid import Grid  # noqa: E402
from imbdense.data.raster.layout import Layout  # noqa: E402
from imbdense.data.raster.unit_store import UnitStore  # noqa: E402
from tests.helpers.raster_scene import TRANSFORM, read_map  # noqa: E402

LAYOUT = Layout(700, 1200, 1024)


def store(folder: Path, **settings: object) -> UnitStore:
    return UnitStore(folder, ['label', 'from_to'], {'tile': 64, **settings}, LAYOUT)


def layers(panel: int, band: int) -> dict[str, np.ndarray]:
    """Values that tell their unit."""
    (top, bottom), (left, right) = LAYOUT.rows(band), LAYOUT.columns(panel)
    shape = bottom - top, right - left
    label = np.full(shape, 10 * panel + band, np.uint8)
    label[3, 5] = 255
    return {'label': label, 'from_to': np.full(shape, 1000 + panel, np.uint16)}


NODATA = {'label': 255, 'from_to': 65535}


def test_a_unit_is_finished_when_all_its_layers_are_there(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.write(0, 1, layers(0, 1), NODATA)
    assert kept.unfinished(LAYOUT.units()) == [(0, 0), (1, 0), (1, 1)]
    kept.path('from_to', 0, 1).unlink()
    assert (0, 1) in kept.unfinished(LAYOUT.units())
    (tmp_path / 'label' / '.00000_0000.tif.tmp-77').write_bytes(b'half')  # of a process that was killed
    assert (0, 0) in kept.unfinished(LAYOUT.units())


def test_other_settings_are_refused_and_the_panels_of_the_first_run_stay(tmp_path: Path) -> None:
    store(tmp_path)
    with pytest.raises(OtherJob, match='tile was 64, now 128'):
        store(tmp_path, tile=128)
    again = UnitStore(tmp_path, ['label', 'from_to'], {'tile': 64}, Layout(700, 1200, 512))
    assert again.layout == LAYOUT


def test_cog_has_place_colours_names_and_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    grid = Grid(rasterio.crs.CRS.from_epsg(32633), rasterio.transform.Affine(*TRANSFORM), 700, 1200)
    colours = [(k, 2 * k, 3 * k) for k in range(12)]
    band = Band('label', 'uint8', 255, [f'class {k}' for k in range(12)], colours, {'MODEL_SHA256': 'a<b'})
    files = []
    for number, order in enumerate((LAYOUT.units(), LAYOUT.units()[::-1])):
        kept = store(tmp_path / f'{number}')
        for unit in order:
            kept.write(*unit, layers(*unit), NODATA)
        files.append(tmp_path / f'{number}.tif')
        write_mosaic(kept.pieces('label'), band, grid, kept.folder / 'label.vrt')
        write_cog(kept.folder / 'label.vrt', files[-1])
    assert files[0].read_bytes() == files[1].read_bytes()
    with rasterio.open(files[0]) as source:
        assert (source.crs, source.transform, source.shape) == (grid.crs, grid.transform, (700, 1200))
        assert source.nodata == 255 and source.block_shapes == [(512, 512)] and source.overviews(1)
        assert source.tags(ns='IMAGE_STRUCTURE')['LAYOUT'] == 'COG'
        assert source.colormap(1)[11] == (11, 22, 33, 255) and source.colormap(1)[255] == (0, 0, 0, 0)
        assert 'class 11' in source.tags(1)['CLASS_NAMES'] and source.tags()['MODEL_SHA256'] == 'a<b'
        assert source.descriptions == ('label',)
    values = read_map(files[0])
    for panel, number in LAYOUT.units():
        (top, bottom), (left, right) = LAYOUT.rows(number), LAYOUT.columns(panel)
        assert np.array_equal(values[top:bottom, left:right], layers(panel, number)['label'])
    nowhere = Grid(None, rasterio.transform.Affine.identity(), 700, 1200)
    write_mosaic(kept.pieces('from_to'), Band('from_to', 'uint16', 65535), nowhere, kept.folder / 'from_to.vrt')
    write_cog(kept.folder / 'from_to.vrt', tmp_path / 'plain.tif')
    assert read_map(tmp_path / 'plain.tif')[0, 1100] == 1001
