"""Checks of pairs that are GeoTIFFs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

rasterio = pytest.importorskip('rasterio')

from imbdense.data.change.pairs import PairFiles  # noqa: E402
from imbdense.data.checks.pair_rasters import pair_raster_findings  # noqa: E402
from tests.data.change.pair_files import write_array, write_raster  # noqa: E402

SHIFTED = rasterio.transform.from_origin(1060, 2000, 10, 10)


def values(bands: int = 4) -> np.ndarray:
    """Numbers that do not pack well, so that the file has many bytes behind its head."""
    return np.random.default_rng(0).integers(1, 4000, (300, 200, bands)).astype(np.uint16)


def pair(
    folder: Path, second: np.ndarray | None = None, label: dict[str, Any] | None = None, **options: Any
) -> PairFiles:
    """Two dates and a change map on one grid, or not."""
    write_raster(folder / 't1.tif', values(), nodata=0)
    write_raster(folder / 't2.tif', values() if second is None else second, **{'nodata': 0, **options})
    write_raster(folder / 'label.tif', np.zeros((300, 200, 1), np.uint8), **(label or {}))
    return PairFiles((str(folder / 't1.tif'), str(folder / 't2.tif')), str(folder / 'label.tif'), ())


def codes(found: list[Any]) -> list[tuple[str, str, str]]:
    return [(finding.severity, finding.code, Path(finding.file).name) for finding in found]


@pytest.mark.parametrize(('second', 'options', 'expected'), [
    (None, {}, []),
    (None, {'transform': SHIFTED}, [('error', 'grid', 't2.tif')]),
    (None, {'crs': 'EPSG:32650'}, [('error', 'grid', 't2.tif')]),
    (values(3), {}, [('error', 'bands', 't2.tif')]),
    (values().astype(np.float32), {}, [('warning', 'number_type', 't2.tif')]),
    (np.zeros_like(values()), {}, [('warning', 'no_data', 't2.tif')]),
    (None, {'label': {'transform': SHIFTED}}, [('error', 'grid', 'label.tif')]),
    (None, {'label': {'crs': None}}, []),
])  # fmt: skip
def test_what_differs_between_the_rasters_of_a_pair(
    tmp_path: Path, second: np.ndarray | None, options: dict[str, Any], expected: list[Any]
) -> None:
    assert codes(pair_raster_findings(pair(tmp_path, second, **options))) == expected


@pytest.mark.parametrize('nodata', [0, None])
def test_a_raster_that_is_cut_off(tmp_path: Path, nodata: int | None) -> None:
    files = pair(tmp_path, nodata=nodata)
    path = tmp_path / 't2.tif'
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (finding,) = pair_raster_findings(files)
    assert codes([finding]) == [('error', 'image_unreadable', 't2.tif')]
    assert 'previous exception' not in finding.message and str(path) not in finding.message


def test_pictures_are_no_rasters(tmp_path: Path) -> None:
    files = [str(write_array(tmp_path / f't{date}.png', np.zeros((8, 8, 3), np.uint8))) for date in (1, 2)]
    assert pair_raster_findings(PairFiles(tuple(files), None, ())) == []
