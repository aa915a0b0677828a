"""A tile is prepared as the loader of the config prepares an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('mmseg')

from imbdense.mm.raster.loading import TileLoading
from imbdense.registry import TRANSFORMS
from tests.helpers.raster_scene import scene, write_raster


def test_values_of_the_geotiff_loader(tmp_path: Path) -> None:
    values = scene(40, 40)
    values[1, 3, 4] = 0
    step = {'type': 'imbdense.LoadGeoTiffWindow', 'bands': [3, 1], 'value_range': [(0, 300), (10, 200)],
            'nodata_fill': 7.0}  # fmt: skip
    path = write_raster(tmp_path / 'a.tif', values)
    expected = TRANSFORMS.build(step)({'img_path': path})['img'].transpose(2, 0, 1)
    loading = TileLoading.of_pipeline([step], 1)
    assert loading.bands == (3, 1)
    found = loading(values[[2, 0]], np.ones((40, 40), bool))
    assert np.allclose(found, expected, atol=1e-4)
    valid = np.ones((40, 40), bool)
    valid[3, 4] = False
    assert (loading(values[[2, 0]], valid)[:, 3, 4] == 7).all()


def test_order_of_the_hosts_loader_and_of_pairs() -> None:
    values = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    valid = np.ones((2, 2), bool)
    for name in ('LoadImageFromFile', 'imbdense.LoadChangePair'):
        loading = TileLoading.of_pipeline([{'type': name}, {'type': 'Resize'}], 2)
        assert loading(values, valid)[:, 0, 0].tolist() == [2, 1, 0, 5, 4, 3] and loading.resizes
    chosen = TileLoading.of_pipeline([{'type': 'imbdense.LoadChangePair', 'bands': [1, 2, 3]}], 2)
    assert chosen(values, valid)[:, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    four = TileLoading.of_pipeline([{'type': 'LoadImageFromFile'}], 1)
    assert four(values[:4], valid)[:, 0, 0].tolist() == [0, 1, 2, 3]


def test_pair_with_value_range_per_band() -> None:
    loading = TileLoading.of_pipeline([{'type': 'imbdense.LoadChangePair', 'bands': [1, 2],
                                        'value_range': [(0, 10), (0, 20)]}], 2)  # fmt: skip
    found = loading(np.full((4, 1, 1), 10, np.uint16), np.ones((1, 1), bool))
    assert found[:, 0, 0].tolist() == pytest.approx([255, 127.5, 255, 127.5])
