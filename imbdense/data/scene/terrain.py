"""The ground surface: fractal or measured relief, flattened under streets and buildings."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import polygon
from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.layout import Layout
from imbdense.data.scene.noise import spectral_fbm
from imbdense.data.scene.rng import stream

BLEND = 3.0
"""Width in m over which a flattened area meets the natural ground."""


@dataclass(frozen=True)
class Terrain:
    """``heights`` (N, N) in m; ``heights[i, j]`` is the ground at x = low + j·cell, y = low + i·cell."""

    low: float
    cell: float
    heights: NDArray[np.float64]

    def height_at(self, x: Any, y: Any) -> NDArray[np.float64]:
        """Return the bilinear ground height at scene coordinates (any equal shape); border values outside."""
        last = len(self.heights) - 1
        u = np.clip((np.asarray(x, float) - self.low) / self.cell, 0, last - 1e-9)
        v = np.clip((np.asarray(y, float) - self.low) / self.cell, 0, last - 1e-9)
        j, i = u.astype(int), v.astype(int)
        fu, fv = u - j, v - i
        z = self.heights
        return (z[i, j] * (1 - fu) + z[i, j + 1] * fu) * (1 - fv) + (z[i + 1, j] * (1 - fu) + z[i + 1, j + 1] * fu) * fv

    def triangles(self) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """Return vertices (N², 3) and faces (2(N-1)², 3) of the surface."""
        count = len(self.heights)
        axis = self.low + self.cell * np.arange(count)
        x, y = np.meshgrid(axis, axis)
        index = np.arange(count * count, dtype=np.int32).reshape(count, count)
        a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
        faces = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], 2).reshape(-1, 3)
        return np.stack([x, y, self.heights], -1).reshape(-1, 3), faces


def make_terrain(config: SceneConfig, layout: Layout, margin: float) -> Terrain:
    """Return the terrain of a scene, reaching ``margin`` m beyond it.

    Relief: spectral fBm (or ``terrain.dsm``). Streets: blended to the smoothed height of the nearest centre-line
    point with a smoothstep over 3 m. Buildings: blended to the mean height under the footprint.
    """
    rng = stream(config.seed, 'terrain')
    relief = float(rng.uniform(0, 15)) if config.terrain.relief is None else config.terrain.relief
    hurst = float(rng.uniform(0.7, 1.1)) if config.terrain.hurst is None else config.terrain.hurst
    cell = config.terrain.cell
    count = int(np.ceil((config.size + 2 * margin) / cell)) + 2
    if config.terrain.dsm is not None:
        heights = _read_dsm(config.terrain.dsm, count)
    else:
        heights = relief * spectral_fbm(count, hurst, rng)
    terrain = Terrain(-margin, cell, heights)
    heights = _flatten_roads(terrain, layout)
    return Terrain(-margin, cell, _flatten_buildings(Terrain(-margin, cell, heights), layout))


def _smoothstep(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 below 0, 1 above 1, smooth between."""
    clipped = np.clip(value, 0, 1)
    return clipped * clipped * (3 - 2 * clipped)


def _flatten_roads(terrain: Terrain, layout: Layout) -> NDArray[np.float64]:
    """Lower or lift the ground under the streets to their smoothed centre-line height."""
    if not layout.roads:
        return terrain.heights
    from scipy.ndimage import gaussian_filter

    count = len(terrain.heights)
    axis = terrain.low + terrain.cell * np.arange(count)
    x, y = np.meshgrid(axis, axis)
    edge: NDArray[np.float64] = np.full((count, count), np.inf)
    near_x: NDArray[np.float64] = x
    near_y: NDArray[np.float64] = y
    for road in layout.roads:
        for start, end in pairwise(road.points):
            step = end - start
            along = ((x - start[0]) * step[0] + (y - start[1]) * step[1]) / max(float(step @ step), 1e-9)
            along = np.clip(along, 0, 1)
            px, py = start[0] + along * step[0], start[1] + along * step[1]
            distance = np.hypot(x - px, y - py) - road.width / 2 - 1.5
            closer = distance < edge
            edge = np.where(closer, distance, edge)
            near_x, near_y = np.where(closer, px, near_x), np.where(closer, py, near_y)
    smooth = Terrain(terrain.low, terrain.cell, gaussian_filter(terrain.heights, 6.0 / terrain.cell, mode='nearest'))
    target = smooth.height_at(near_x, near_y)
    weight = 1 - _smoothstep(edge / BLEND)
    return terrain.heights * (1 - weight) + target * weight


def _flatten_buildings(terrain: Terrain, layout: Layout) -> NDArray[np.float64]:
    """Level the ground under each building."""
    heights = terrain.heights.copy()
    last = len(heights) - 1
    for plan in layout.buildings:
        center, half, angle = polygon.bounding_rectangle(plan.footprint)
        reach = float(np.linalg.norm(half)) + BLEND + 2
        low = np.clip(np.floor((center - reach - terrain.low) / terrain.cell).astype(int), 0, last)
        high = np.clip(np.ceil((center + reach - terrain.low) / terrain.cell).astype(int) + 1, 0, last + 1)
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        if heights[window].size == 0:
            continue
        x = terrain.low + terrain.cell * np.arange(low[0], high[0])[None, :] - center[0]
        y = terrain.low + terrain.cell * np.arange(low[1], high[1])[:, None] - center[1]
        u = np.abs(x * np.cos(angle) + y * np.sin(angle)) - half[0]
        v = np.abs(-x * np.sin(angle) + y * np.cos(angle)) - half[1]
        distance = np.maximum(u, v) - 1.0
        inside = distance <= 0
        level = float(heights[window][inside].mean()) if inside.any() else float(terrain.height_at(*center))
        weight = 1 - _smoothstep(distance / BLEND)
        heights[window] = heights[window] * (1 - weight) + level * weight
    return heights


def _read_dsm(path: str | Path, count: int) -> NDArray[np.float64]:
    """First band of a raster, resampled to the grid, lowest point at 0; nodata takes the median."""
    import rasterio
    from rasterio.enums import Resampling

    try:
        with rasterio.open(path) as source:
            band = source.read(1, out_shape=(count, count), resampling=Resampling.bilinear, masked=True)
    except rasterio.errors.RasterioIOError as error:
        raise ValueError(f'terrain.dsm: {path} cannot be read as a raster ({error}). Give a GeoTIFF.') from error
    heights = np.asarray(band.filled(np.nan), np.float64)[::-1]  # row 0 of the file is north
    if not np.isfinite(heights).any():
        raise ValueError(f'terrain.dsm: {path} holds no valid elevation (all nodata).')
    heights = np.where(np.isfinite(heights), heights, np.nanmedian(heights))
    return heights - heights.min()
