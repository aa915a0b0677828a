"""Polygons of GeoJSON and GeoPackage files, read with the standard library alone."""

from __future__ import annotations

import json
import sqlite3
import struct
from pathlib import Path
from typing import Any

GEOJSON_CRS = 'EPSG:4326'
_ENVELOPES = {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}
Shape = dict[str, Any]
"""A GeoJSON geometry."""


def read_polygons(path: str | Path) -> tuple[list[Shape], Any]:
    """Return the polygons and multipolygons of a file as GeoJSON geometries, and their coordinate system (anything
    rasterio understands).

    GeoJSON is in longitude and latitude, or in the system that its old-style ``crs`` member names. Of a GeoPackage all
    feature tables are read; they must have one coordinate system.

    Raises:
        ValueError: a file of another kind, a damaged one, or one without a polygon. The message names it.
    """
    place = Path(path)
    kind = place.suffix.lower()
    if kind not in ('.geojson', '.json', '.gpkg'):
        raise ValueError(f'{place}: polygons are read from GeoJSON and GeoPackage files; convert it: '
                         f'`ogr2ogr {place.stem}.gpkg {place.name}`.')
    try:
        shapes, crs = _geopackage(place) if kind == '.gpkg' else _geojson(place)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error, sqlite3.Error) as error:
        raise ValueError(f'{place}: cannot be read as {"GeoPackage" if kind == ".gpkg" else "GeoJSON"} ({error}).'
                         ) from error
    shapes = [shape for shape in shapes if shape['type'] in ('Polygon', 'MultiPolygon')]
    if not shapes:
        raise ValueError(f'{place}: holds no polygon.')
    return shapes, crs


def _geojson(path: Path) -> tuple[list[Shape], Any]:
    """Geometries of a collection, a feature or a geometry."""
    content = json.loads(path.read_text(encoding='utf-8'))
    features = content['features'] if content['type'] == 'FeatureCollection' else [content]
    shapes = [feature.get('geometry', feature) if feature['type'] == 'Feature' else feature for feature in features]
    crs = content.get('crs', {}).get('properties', {}).get('name', GEOJSON_CRS)
    return [shape for shape in shapes if shape], crs


def _geopackage(path: Path) -> tuple[list[Shape], Any]:
    """Geometries of all feature tables (OGC 12-128)."""
    base = sqlite3.connect(f'{path.absolute().as_uri()}?mode=ro', uri=True)
    try:
        tables = base.execute('SELECT table_name, column_name, srs_id FROM gpkg_geometry_columns').fetchall()
        systems = {row[2] for row in tables}
        if len(systems) != 1:
            raise ValueError(f'its tables have {len(systems)} coordinate systems, one is needed')
        organization, code, text = base.execute('SELECT organization, organization_coordsys_id, definition FROM '
                                                'gpkg_spatial_ref_sys WHERE srs_id = ?', tuple(systems)).fetchone()
        crs = f'EPSG:{code}' if organization.upper() == 'EPSG' else text
        shapes = []
        for table, column, _ in tables:
            for (blob,) in base.execute(f'SELECT "{column}" FROM "{table}"'):
                if blob is not None:
                    start = 8 + _ENVELOPES[(blob[3] >> 1) & 7]  # 'GP', version, flags, reference, envelope
                    shapes.append(_well_known(blob, start)[0])
        return shapes, crs
    finally:
        base.close()


def _well_known(blob: bytes, start: int) -> tuple[Shape, int]:
    """A geometry in well-known binary, and where it ends; Z and M are dropped."""
    order = '<' if blob[start] else '>'
    code = struct.unpack_from(f'{order}I', blob, start + 1)[0]
    size = 2 + (bool(code & 0x80000000) + bool(code & 0x40000000) or (0, 1, 1, 2)[code % 0x10000000 // 1000])
    kind, start = code % 0x10000000 % 1000, start + 5
    if kind not in (3, 6):
        return {'type': f'kind {kind}'}, start
    count, start = struct.unpack_from(f'{order}I', blob, start)[0], start + 4
    parts: list[Any] = []
    for _ in range(count):
        if kind == 6:
            shape, start = _well_known(blob, start)
            parts.append(shape['coordinates'])
            continue
        points = struct.unpack_from(f'{order}I', blob, start)[0]
        values = struct.unpack_from(f'{order}{points * size}d', blob, start + 4)
        parts.append([list(values[k:k + 2]) for k in range(0, len(values), size)])
        start += 4 + 8 * points * size
    return {'type': 'Polygon' if kind == 3 else 'MultiPolygon', 'coordinates': parts}, start
