"""True orthophoto, surface model and class map of a scene as GeoTIFF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene.classes import VOID
from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.flight import ground_sampling_distance
from imbdense.data.scene.raycast import NO_HIT, RayCaster
from imbdense.data.scene.render import encode, labels
from imbdense.data.scene.shade import Light, shade
from imbdense.data.scene.world import World

_BAND = 256
NODATA = -9999.0


def write_ortho(config: SceneConfig, world: World, caster: RayCaster, light: Light, folder: Path) -> list[str]:
    """Write ``ortho.tif`` (RGB), ``dsm.tif`` (float32 m, nodata -9999) and ``ortho_mask.tif`` (raw class, nodata 255).

    One vertical ray per cell of ``output.ortho_gsd`` over [0, size]², row 0 in the north, cast in bands of 256 rows.
    CRS ``output.crs``; the scene's south-west corner is ``output.origin``. Returns the file names.
    """
    gsd = config.output.ortho_gsd or ground_sampling_distance(config.flight)
    count = max(round(config.size / gsd), 1)
    cell = config.size / count
    rgb = np.empty((3, count, count), np.uint8)
    surface, mask = np.empty((count, count), np.float32), np.empty((count, count), np.uint8)
    top = float(world.vertices[:, 2].max()) + 10.0
    for start in range(0, count, _BAND):
        rows = slice(start, min(start + _BAND, count))
        y = config.size - (np.arange(rows.start, rows.stop) + 0.5) * cell
        x = (np.arange(count) + 0.5) * cell
        origin = np.stack([*np.meshgrid(x, y), np.full((len(y), count), top)], -1).reshape(-1, 3).astype(np.float32)
        hits = caster.cast(origin, np.tile(np.array([[0, 0, -1]], np.float32), (len(origin), 1)))
        # haze would depend on the arbitrary height of the ray's start: an orthophoto is corrected for it
        radiance = shade(world, caster, hits, light, config.render.texture, 1e9)
        shape = (len(y), count)
        rgb[:, rows] = encode(radiance).reshape(*shape, 3).transpose(2, 0, 1)
        surface[rows] = np.where(hits.face == NO_HIT, np.float32(NODATA), hits.point[:, 2]).reshape(shape)
        mask[rows] = labels(world, hits)[0].reshape(shape)
    write_raster(folder / 'ortho.tif', rgb, config, None)
    write_raster(folder / 'dsm.tif', surface[None], config, NODATA)
    write_raster(folder / 'ortho_mask.tif', mask[None], config, VOID)
    return ['ortho.tif', 'dsm.tif', 'ortho_mask.tif']


def write_raster(path: Path, bands: NDArray[Any], config: SceneConfig, nodata: float | None,
                 names: Sequence[str] = ()) -> None:
    """Write ``bands`` (B, H, W) over the whole scene as a tiled, deflated GeoTIFF; ``names`` describe the bands."""
    try:
        import rasterio
    except ImportError as error:
        raise ImportError(f'writing {path.name} needs rasterio ({error}): `pip install rasterio`, or switch the ortho '
                          f'products off (output.ortho=False).') from error
    east, north = config.output.origin
    cell = config.size / bands.shape[2]
    transform = rasterio.transform.from_origin(east, north + config.size, cell, cell)
    try:
        crs = rasterio.crs.CRS.from_user_input(config.output.crs)
    except rasterio.errors.CRSError as error:
        raise ValueError(f'output.crs {config.output.crs!r} is no coordinate reference system ({error}); '
                         f"use for example 'EPSG:32611'.") from error
    extra = {'photometric': 'RGB'} if len(bands) == 3 else {}
    if len(bands) > 3:
        extra = {'photometric': 'RGB', 'alpha': 'NO'}  # a fourth band of bytes would pass for an alpha band
    with rasterio.open(path, 'w', driver='GTiff', count=len(bands), height=bands.shape[1], width=bands.shape[2],
                       dtype=bands.dtype.name, crs=crs, transform=transform, nodata=nodata, tiled=True, blockxsize=256,
                       blockysize=256, compress='deflate', **extra) as target:
        target.write(bands)
        for number, name in enumerate(names, start=1):
            target.set_band_description(number, name)
