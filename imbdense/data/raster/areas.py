"""Area of each value of a finished map, on the ground."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.stats.area_estimate import estimate_areas
from imbdense.data.geotiff import open_raster
from imbdense.data.raster.grid import Grid, grid_of

WGS84 = (6378137.0, 1 / 298.257223563)
"""Equatorial radius in metres and flattening."""


def row_areas(grid: Grid) -> NDArray[np.float64] | None:
    """Square metres of one pixel in each row (H,); ``None`` where the raster has no coordinate system, or is in degrees
    and rotated, so that the pixels of a row differ.

    Projected: |determinant of the transform| times the square of the unit. Geographic: exact on the WGS 84 ellipsoid,
    b² Δλ (q(φ_1) - q(φ_2)) / 2 with q(φ) = sin φ / (1 - e² sin² φ) + artanh(e sin φ) / e.
    """
    if grid.crs is None:
        return None
    if not grid.crs.is_geographic:
        unit = float(grid.crs.linear_units_factor[1])
        return np.full(grid.height, abs(grid.transform.determinant) * unit**2)
    if abs(grid.transform.b) > 1e-12 or abs(grid.transform.d) > 1e-12:
        return None
    edges = grid.transform.f + grid.transform.e * np.arange(grid.height + 1)
    return abs(grid.transform.a) * np.abs(np.diff(area_below(grid.crs, edges)))


def area_below(crs: Any, y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Square metres below ``y`` (from 0 on) per unit of x; without a coordinate system ``y`` itself.

    What lies inside a ring is the integral of it over x along the ring.
    """
    if crs is None:
        return y
    if not crs.is_geographic:
        return y * float(crs.linear_units_factor[1]) ** 2
    radius, flattening = WGS84
    square = flattening * (2 - flattening)
    sine, root = np.sin(np.radians(np.clip(y, -90, 90))), math.sqrt(square)
    q: NDArray[np.float64] = sine / (1 - square * sine**2) + np.arctanh(root * sine) / root
    return (radius * (1 - flattening)) ** 2 * math.radians(1.0) * q / 2


def count_values(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float64] | None]:
    """Pixels (256 or 65536,) and square metres of each value of a one-band map, read block row by block row."""
    with open_raster(path) as source:
        size = int(np.iinfo(source.dtypes[0]).max) + 1
        per_row, height = row_areas(grid_of(source)), source.block_shapes[0][0]
        pixels, metres = np.zeros(size, np.int64), np.zeros(size)
        for top in range(0, source.height, height):
            bottom = min(top + height, source.height)
            values = source.read(1, window=((top, bottom), (0, source.width)))
            if per_row is None or per_row[top] == per_row[bottom - 1]:
                counts = np.bincount(values.ravel(), minlength=size)
                metres += counts * (0.0 if per_row is None else per_row[top])
                pixels += counts
                continue
            for line, area in zip(values, per_row[top:bottom]):
                counts = np.bincount(line, minlength=size)
                pixels += counts
                metres += counts * area
    return pixels, None if per_row is None else metres


def area_table(path: Path, classes: Sequence[str], points: Path | None = None) -> dict[str, Any]:
    """Pixels, hectares and share of each class of a map, and with reference points an estimate with its interval.

    ``points`` is a CSV file with the columns x, y (in the coordinates of the map) and class (name or index).

    Returns:
        ``{'classes': [{class, pixels, share, hectares, estimate...}], 'nodata_pixels': n}``, plain data for JSON; an
        undefined number is ``None``; with points also ``points_elsewhere``, those outside the map or on "no data".
    """
    pixels, metres = count_values(path)
    nodata, count = int(pixels[-1]), len(classes)
    total = int(pixels[:count].sum())
    rows: list[dict[str, Any]] = [
        {
            'class': name, 'pixels': int(pixels[k]), 'share': pixels[k] / total if total else None,
            'hectares': None if metres is None else metres[k] / 1e4,
        } for k, name in enumerate(classes)
    ]  # fmt: skip
    if points is not None and total:
        read = read_points(points, classes)
        sample = sample_table(path, classes, read)
        found = estimate_areas(pixels[:count] if metres is None else metres[:count], sample)
        whole = None if metres is None else metres[:count].sum() / 1e4
        for k, row in enumerate(rows):
            row['points'], row['points_on_map_class'] = int(sample[:, k].sum()), int(sample[k].sum())
            for key, value in (('share', found.share[k]), ('low', found.low[k]), ('high', found.high[k])):
                known = None if np.isnan(value) else float(value)
                row[f'estimated_{key}'] = known
                if whole is not None:
                    row[f'estimated_hectares_{key}'.replace('_share', '')] = None if known is None else known * whole
        return {'classes': rows, 'nodata_pixels': nodata, 'points_elsewhere': len(read) - int(sample.sum())}
    return {'classes': rows, 'nodata_pixels': nodata}


def read_points(path: Path, classes: Sequence[str]) -> list[tuple[float, float, int]]:
    """(x, y, class index) of every line of a CSV file with the columns x, y and class (name or index).

    Raises:
        ValueError: the file cannot be read, a line is no point, or a class is unknown; file and line are named.
    """
    names = {name: index for index, name in enumerate(classes)} | {str(index): index for index in range(len(classes))}
    found = []
    try:
        text = path.read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} cannot be read as a table of reference points ({error}).') from error
    reader = csv.DictReader(text.splitlines())
    if not {'x', 'y', 'class'} <= set(reader.fieldnames or ()):
        raise ValueError(f'{path} needs the columns x, y and class in its first line, but has {reader.fieldnames}.')
    for number, line in enumerate(reader, start=2):
        try:
            x, y, known = float(line['x']), float(line['y']), names[str(line['class']).strip()]
            if not (math.isfinite(x) and math.isfinite(y)):
                raise ValueError('no place')
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{path}, line {number}: {line} is no point with x, y and one of the classes '
                             f'{", ".join(classes)}.') from error
        found.append((x, y, known))
    return found


def sample_table(path: Path, classes: Sequence[str], points: Sequence[tuple[float, float, int]]) -> NDArray[np.int64]:
    """(K, K) points of :func:`read_points` by map class and reference class; points outside the map or on "no data" are
    left out."""
    table = np.zeros((len(classes), len(classes)), np.int64)
    with open_raster(path) as source:
        for x, y, known in points:
            row, column = source.index(x, y)
            if 0 <= row < source.height and 0 <= column < source.width:
                value = int(source.read(1, window=((row, row + 1), (column, column + 1)))[0, 0])
                if value < len(classes):
                    table[value, known] += 1
    return table
