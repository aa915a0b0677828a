"""A GeoPackage with one layer of polygons, written with SQLite alone (OGC 12-128r18)."""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from imbdense.utils.files import FileWriteError

APPLICATION_ID, VERSION = 0x47504B47, 10300
"""'GPKG', version 1.3."""
BATCH = 10_000

_SCHEMA = """
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY, organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
  description TEXT DEFAULT '', last_change DATETIME NOT NULL, min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE,
  srs_id INTEGER, CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL,
  geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL,
  CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name));
"""
_WORLD = (
    ('Undefined Cartesian', -1, 'NONE', -1, 'undefined'),
    ('Undefined geographic', 0, 'NONE', 0, 'undefined'),
    ('WGS 84', 4326, 'EPSG', 4326, 'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
     'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433],AUTHORITY["EPSG","4326"]]'),
)
EPOCH = '1970-01-01T00:00:00.000Z'
"""Time of the last change; a constant, so that equal maps are equal files."""

Ring = Sequence[tuple[float, float]]


def write_geopackage(
    target: Path,
    layer: str,
    crs: Any,
    fields: Mapping[str, str],
    features: Iterable[tuple[Sequence[Ring], Sequence[Any]]],
) -> int:
    """Write polygons with attributes; the file is whole or absent.

    Args:
        target: the .gpkg file. layer: its table. crs: rasterio CRS or ``None``.
        fields: name -> SQL type ('INTEGER', 'REAL', 'TEXT').
        features: (rings, values): the outer ring, then the holes, each closed, and a value per field.

    Returns:
        Number of polygons.

    Raises:
        FileWriteError: the file cannot be written.
    """
    temporary = target.with_name(f'.{target.name}.tmp-{os.getpid()}')
    temporary.unlink(missing_ok=True)
    try:
        with sqlite3.connect(temporary) as base:
            base.execute(f'PRAGMA application_id={APPLICATION_ID}')
            base.execute(f'PRAGMA user_version={VERSION}')
            base.executescript(_SCHEMA)
            number = _spatial_reference(base, crs)
            columns = ''.join(f', "{name}" {kind}' for name, kind in fields.items())
            base.execute(f'CREATE TABLE "{layer}" (fid INTEGER PRIMARY KEY AUTOINCREMENT, geom POLYGON{columns})')
            base.execute('INSERT INTO gpkg_geometry_columns VALUES (?, ?, ?, ?, 0, 0)',
                         (layer, 'geom', 'POLYGON', number))
            count, bounds = _insert(base, layer, list(fields), number, features)
            base.execute('INSERT INTO gpkg_contents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
                         (layer, 'features', layer, '', EPOCH, *bounds, number))
        base.close()
        os.replace(temporary, target)
    except (sqlite3.Error, OSError) as error:
        raise FileWriteError(f'cannot write {target}: {error}. Free some space or choose another folder.') from error
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _spatial_reference(base: sqlite3.Connection, crs: Any) -> int:
    """Enter the coordinate system and return its number."""
    base.executemany('INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, NULL)', _WORLD)
    if crs is None:
        return -1
    code = crs.to_epsg()
    number = code or 100_000  # a system of its own
    if number != 4326:
        name = crs.to_wkt().split('"')[1]
        base.execute('INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, NULL)',
                     (name, number, 'EPSG' if code else 'NONE', number, crs.to_wkt(version='WKT1_GDAL')))
    return number


def _insert(
    base: sqlite3.Connection, layer: str, fields: Sequence[str], number: int, features: Iterable[Any]
) -> tuple[int, tuple[float | None, ...]]:
    """Insert all features; their number and bounds."""
    places = ', '.join('?' * (len(fields) + 1))
    names = ', '.join(f'"{name}"' for name in ('geom', *fields))
    statement = f'INSERT INTO "{layer}" ({names}) VALUES ({places})'
    low, high, count, rows = [float('inf')] * 2, [float('-inf')] * 2, 0, []
    for rings, values in features:
        xs, ys = zip(*rings[0])
        low, high = [min(low[0], *xs), min(low[1], *ys)], [max(high[0], *xs), max(high[1], *ys)]
        rows.append((_polygon(rings, number, (min(xs), max(xs), min(ys), max(ys))), *values))
        count += 1
        if len(rows) == BATCH:
            base.executemany(statement, rows)
            rows = []
    base.executemany(statement, rows)
    return count, (*low, *high) if count else (None,) * 4


def _polygon(rings: Sequence[Ring], number: int, bounds: tuple[float, ...]) -> bytes:
    """GeoPackage binary: 'GP', version, flags (little-endian, with envelope), reference, envelope, WKB."""
    parts = [struct.pack('<2sBBi4d', b'GP', 0, 0b11, number, *bounds), struct.pack('<BII', 1, 3, len(rings))]
    for ring in rings:
        parts.append(struct.pack('<I', len(ring)))
        parts.append(struct.pack(f'<{2 * len(ring)}d', *(value for point in ring for value in point)))
    return b''.join(parts)
