"""Layout from an OSM-like GeoJSON file: building polygons and street lines."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import polygon as poly
from imbdense.data.scene.layout import BuildingPlan, Layout, Lot, Road
from imbdense.data.scene.rng import stream

_WIDTHS = {'motorway': 14.0, 'trunk': 12.0, 'primary': 12.0, 'secondary': 10.0, 'tertiary': 9.0, 'residential': 7.0,
           'service': 4.5, 'footway': 2.0, 'path': 2.0, 'cycleway': 2.5}
STOREY = 3.0


def read_geojson(path: str | Path, size: float, seed: int) -> Layout:
    """Return the layout of a FeatureCollection.

    Used are Polygon/MultiPolygon features with a ``building`` property (``height`` in m, else ``building:levels`` ×
    3 m, else drawn) and LineString/MultiLineString features with a ``highway`` property (``width`` in m, else by kind).
    Coordinates are local metres with the scene in [0, size]²; a file whose extent is below one unit is taken as
    longitude/latitude in degrees and projected locally, its centre on the scene's centre. A polygon that crosses
    itself is replaced by its convex hull with a warning; features outside the scene are dropped.

    Raises:
        ValueError: no JSON, no FeatureCollection, or no usable feature inside the scene.
    """
    features = _load(path)
    project = _projection([np.asarray(point, float)[:2] for feature in features for point in _points(feature)], size)
    roads: list[Road] = []
    buildings: list[BuildingPlan] = []
    for number, feature in enumerate(features):
        properties = feature.get('properties') or {}
        if properties.get('building') not in (None, 'no'):
            for ring in _rings(feature):
                plan = _building(project(ring), properties, seed, number, str(path), size)
                if plan is not None:
                    buildings.append(plan)
        elif properties.get('highway') is not None:
            for line in _lines(feature):
                points = project(line)
                if len(points) >= 2 and _touches(points, size):
                    width = _number(properties.get('width'), _WIDTHS.get(str(properties['highway']), 7.0))
                    roads.append(Road(points, float(np.clip(width, 1.5, 40))))
    if not roads and not buildings:
        raise ValueError(
            f'{path}: no usable feature. Expected Polygons with a "building" property or LineStrings with a "highway" '
            f'property inside [0, {size:g}] m (or longitude/latitude); found {len(features)} features, none usable.'
        )
    lots = tuple(_lot_around(plan) for plan in buildings)
    return Layout(tuple(roads), lots, tuple(buildings))


def _load(path: str | Path) -> list[dict[str, Any]]:
    """Features of the file."""
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is not valid GeoJSON ({error}). Export it again, for example from Overpass.'
                         ) from error
    if not isinstance(content, dict) or not isinstance(content.get('features'), list):
        kind = content.get('type') if isinstance(content, dict) else type(content).__name__
        raise ValueError(f'{path}: expected a GeoJSON FeatureCollection with a list "features", but got {kind!r}.')
    return [feature for feature in content['features'] if isinstance(feature, dict)]


def _geometry(feature: dict[str, Any]) -> tuple[str, Any]:
    """Type and coordinates; an absent geometry gives an empty type."""
    geometry = feature.get('geometry') or {}
    return str(geometry.get('type', '')), geometry.get('coordinates') or []


def _rings(feature: dict[str, Any]) -> list[Any]:
    """Outer rings; holes are filled."""
    kind, coordinates = _geometry(feature)
    if kind == 'Polygon':
        return coordinates[:1]
    return [part[0] for part in coordinates if part] if kind == 'MultiPolygon' else []


def _lines(feature: dict[str, Any]) -> list[Any]:
    """Centre lines."""
    kind, coordinates = _geometry(feature)
    return [coordinates] if kind == 'LineString' else list(coordinates) if kind == 'MultiLineString' else []


def _points(feature: dict[str, Any]) -> list[Any]:
    """All points of the feature that are used."""
    return [point for part in _rings(feature) + _lines(feature) for point in part]


def _projection(points: list[NDArray[np.float64]], size: float) -> Any:
    """Function that turns coordinates into scene metres."""
    if not points:
        return lambda ring: np.asarray(ring, float)[:, :2]
    cloud = np.asarray(points)
    low, high = cloud.min(0), cloud.max(0)
    degrees = bool(np.all(high - low < 1.0)) and bool(np.all(np.abs(cloud) <= [180, 90]))
    if not degrees:
        return lambda ring: np.asarray(ring, float)[:, :2]
    middle = (low + high) / 2
    scale = 111_320.0 * np.array([np.cos(np.deg2rad(middle[1])), 1.0])
    return lambda ring: (np.asarray(ring, float)[:, :2] - middle) * scale + size / 2


def _building(ring: NDArray[np.float64], properties: dict[str, Any], seed: int, number: int, path: str,
              size: float) -> BuildingPlan | None:
    """One footprint with its height and roof."""
    outline = poly.clean(ring)
    if len(outline) < 3 or not _touches(outline, size):
        return None
    if not poly.is_simple(outline):
        warnings.warn(f'{path}: building polygon of feature {number} crosses itself; its convex hull is used.',
                      stacklevel=3)
        outline = poly.clean(poly.convex_hull(outline))
    if len(outline) < 3 or abs(poly.signed_area(outline)) < 4:
        return None
    rng = stream(seed, 'building', number)
    drawn = float(rng.gamma(3.0, 1.0)) + 3
    levels = _number(properties.get('building:levels'), drawn / STOREY)
    height = float(np.clip(_number(properties.get('height'), levels * STOREY), 2, 150))
    if len(outline) == 4:
        center, half, angle = poly.bounding_rectangle(outline)
        if 4 * float(np.prod(half)) < 1.1 * abs(poly.signed_area(outline)):
            roof = str(rng.choice(['gable', 'hip', 'flat'], p=[0.45, 0.25, 0.3])) if height < 12 else 'flat'
            return BuildingPlan(((center, half, angle),), outline, height, roof)
    return BuildingPlan((), outline, height, 'flat')


def _number(value: Any, default: float) -> float:
    """Leading number of an OSM value such as '12 m'; the default when there is none."""
    try:
        return float(str(value).split()[0].replace(',', '.'))
    except (ValueError, IndexError):
        return default


def _touches(points: NDArray[np.float64], size: float) -> bool:
    """Whether the bounding box of the points meets the scene."""
    return bool(np.all(points.max(0) > 0)) and bool(np.all(points.min(0) < size))


def _lot_around(plan: BuildingPlan) -> Lot:
    """A plot 4 m wider than the building."""
    center, half, angle = poly.bounding_rectangle(plan.footprint)
    return Lot(center, half + 4.0, angle, 'house')
