from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imbdense.data.raster.labels import LabelRaster
from imbdense.data.raster.sources import reference_grid
from tests.data.raster.places import LUT, place, write

pytest.importorskip('rasterio')


def test_values_are_looked_up_and_nodata_is_ignored(tmp_path: Path) -> None:
    files = place(tmp_path)
    label = LabelRaster(files['label'], reference_grid(files['t1']), 4, nodata=0, lut=LUT)
    found = label.read((0, 0, 20, 40))
    assert set(np.unique(found)) == {0, 3, 255} and (found[:4] == 255).all() and found[11, 21] == 3


def test_values_that_are_no_class_are_named(tmp_path: Path) -> None:
    files = place(tmp_path)
    for arguments in ({'nodata': 0}, {'lut': {1: 0}}, {'nodata': 0, 'lut': {1: 0, 2: 9, 3: 1, 4: 2}}):
        with pytest.raises(ValueError, match=r'label\.tif.*no class'):
            LabelRaster(files['label'], reference_grid(files['t1']), 4, **arguments).read((0, 0, 120, 160))


def test_classes_are_never_mixed_on_another_grid(tmp_path: Path) -> None:
    files = place(tmp_path)
    fine = np.kron((np.indices((60, 80)).sum(axis=0) % 2 * 7).astype(np.uint8), np.ones((8, 8), np.uint8))
    fine[::8, ::8] = 3  # one odd pixel of sixty-four
    path = write(tmp_path / 'fine.tif', fine, pixel=0.5)
    grid = reference_grid(files['t1'])
    found = LabelRaster(path, grid, 8).read((0, 0, 60, 80))
    assert set(np.unique(found)) == {0, 7}
    coarse = write(tmp_path / 'coarse.tif', np.array([[1, 2], [2, 1]], np.uint8), pixel=160.0)
    assert set(np.unique(LabelRaster(coarse, grid, 3).read((0, 0, 120, 160)))) == {1, 2}


def test_colours_are_no_labels(tmp_path: Path) -> None:
    files = place(tmp_path)
    with pytest.raises(ValueError, match='one band'):
        LabelRaster(files['t1'], reference_grid(files['t1']), 4)
