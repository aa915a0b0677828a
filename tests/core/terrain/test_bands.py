from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from imbdense.core.terrain import aspect, derivative_bands, derive, halo_of, hillshade, slope
from tests.core.terrain.surfaces import hills

NAMES = ('slope', 'aspect_sincos', 'tri', 'tri_wilson', 'tpi', 'tpi@3', 'tpi@11', 'roughness', 'hillshade', 'curvature',
         'profile_curvature', 'planform_curvature')


def test_names_and_halos() -> None:
    assert derivative_bands(['slope', 'aspect_sincos', 'tpi@5']) == ('slope', 'eastness', 'northness', 'tpi@5')
    assert halo_of(['slope', 'tpi@25']) == 25 and halo_of(['tri']) == 1 and halo_of([]) == 0
    assert derive(hills(), [], (1, 1)).shape == (0, 40, 53)
    for name, words in (('aspect', 'aspect_sincos'), ('tpi@r', 'no derivative'), ('tpi@0', 'no derivative'),
                        ('slop', 'no derivative')):
        with pytest.raises(ValueError, match=words):
            derivative_bands([name])


@pytest.mark.parametrize('edges', ['nodata', 'extrapolate'])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_tiles_with_a_halo_equal_the_whole_raster_to_the_bit(edges: str, dtype: torch.dtype) -> None:
    z = hills(61, 83).to(dtype)
    z[20:24, 30:33] = torch.nan
    sizes = (torch.linspace(0.9, 1.1, 61), 1.25)  # pixels of a raster in degrees: narrower to the north
    whole = derive(z, NAMES, sizes, edges)  # type: ignore[arg-type]
    halo = halo_of(NAMES)
    for top in range(0, 61, 17):
        for left in range(0, 83, 23):
            bottom, right = min(top + 17, 61), min(left + 23, 83)
            up, down = min(halo, top), min(halo, 61 - bottom)
            before, after = min(halo, left), min(halo, 83 - right)
            rows = slice(top - up, bottom + down)
            tile = derive(z[rows, left - before:right + after], NAMES, (sizes[0][rows], sizes[1]),
                          edges, (up, down, before, after))  # type: ignore[arg-type]
            assert torch.equal(torch.nan_to_num(tile, nan=-1e9),
                               torch.nan_to_num(whole[:, top:bottom, left:right], nan=-1e9))


def test_arrays_give_arrays() -> None:
    bands = derive(hills().numpy(), NAMES, (1.0, 1.0))
    assert isinstance(bands, np.ndarray) and bands.shape == (13, 40, 53) and bands.dtype == np.float32


@pytest.mark.skipif(shutil.which('gdaldem') is None, reason='gdaldem is not installed')
def test_formulas_are_those_of_gdaldem(tmp_path: Path) -> None:
    rasterio = pytest.importorskip('rasterio')
    z = hills(64, 70)
    with rasterio.open(tmp_path / 'z.tif', 'w', driver='GTiff', count=1, height=64, width=70, dtype='float32',
                       crs='EPSG:32633', transform=rasterio.transform.from_origin(5e5, 5e6, 2.0, 2.0)) as target:
        target.write(z.numpy(), 1)

    def gdaldem(mode: str, *options: str) -> np.ndarray:
        out = tmp_path / f'{mode}{"".join(options)}.tif'
        subprocess.run(['gdaldem', mode, str(tmp_path / 'z.tif'), str(out), *options], check=True, capture_output=True)
        with rasterio.open(out) as source:
            return source.read(1)[1:-1, 1:-1].astype(float)

    size = (2.0, 2.0)
    ours = dict(zip(derivative_bands(NAMES), derive(z, NAMES, size).numpy()[:, 1:-1, 1:-1]))
    for name, mode, options in (('slope', 'slope', ()), ('tri', 'TRI', ('-alg', 'Riley')),
                                ('tri_wilson', 'TRI', ('-alg', 'Wilson')), ('tpi', 'TPI', ()),
                                ('roughness', 'roughness', ())):
        assert np.abs(gdaldem(mode, *options) - ours[name]).max() < 2e-3, name
    steep = slope(z, size, 'zevenbergen_thorne').numpy()[1:-1, 1:-1]
    assert np.abs(gdaldem('slope', '-alg', 'ZevenbergenThorne') - steep).max() < 2e-3
    turned = np.abs(gdaldem('aspect') - aspect(z, size).numpy()[1:-1, 1:-1])
    assert np.minimum(turned, 360 - turned).max() < 0.02
    shade = 1 + 254 * hillshade(z, size).numpy()[1:-1, 1:-1]  # gdaldem rounds to whole numbers
    assert np.abs(gdaldem('hillshade') - shade).max() < 1.01
