"""The configuration of one generated scene: plain frozen dataclasses, validated, JSON in and out.

Lengths are metres and angles degrees unless a name says otherwise. Every field enters the manifest; two scenes with
equal configuration and equal library versions are equal to the byte.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imbdense.data.scene.classes import CLASS_IDS, CLASS_NAMES, OBJECT_CLASSES

FLIGHT_SETS: dict[str, tuple[tuple[float, float], ...]] = {
    'nadir': ((0.0, 0.0),),
    'crosshatch': ((0.0, 0.0), (0.0, 90.0)),
    'oblique': ((0.0, 0.0), (30.0, 0.0), (30.0, 90.0), (30.0, 180.0), (30.0, 270.0)),
    'tiny': ((0.0, 0.0), (20.0, 0.0)),
}
"""Flight pattern → sets of (tilt from nadir, heading) in degrees."""
DENSITIES = ('suburban', 'urban', 'industrial', 'airfield')
PROFILES = ('stpls3d', 'zipf', 'balanced')


@dataclass(frozen=True)
class TerrainConfig:
    """Ground surface. ``relief`` (0–15) and ``hurst`` (.7–1.1) are drawn per scene when ``None``.

    ``cell``: mesh spacing. ``dirt_share``: fraction of open ground that is dirt, the rest is grass.
    ``unlabelled_ground``: fraction of lots whose ground has class 0 instead of 18/19. ``dsm``: optional elevation
    GeoTIFF (first band) that replaces the fractal relief.
    """

    relief: float | None = None
    hurst: float | None = None
    cell: float = 1.0
    dirt_share: float = 0.25
    unlabelled_ground: float = 0.1
    dsm: str | None = None


@dataclass(frozen=True)
class LayoutConfig:
    """Streets, lots and buildings: procedural, or from a GeoJSON file (``geojson``).

    ``rotation``: angle of the street grid, drawn in ±20° when ``None``. ``building_share``: fraction of lots built on.
    """

    density: str = 'suburban'
    street_spacing: tuple[float, float] = (60.0, 120.0)
    street_width: tuple[float, float] = (6.0, 12.0)
    min_lot_area: float = 150.0
    building_share: float = 0.9
    rotation: float | None = None
    geojson: str | None = None


@dataclass(frozen=True)
class MixConfig:
    """The long-tail dial and its independent companions.

    ``profile``: 'stpls3d' (published shares), 'zipf', 'balanced', or a mapping class name → relative share.
    ``imbalance_ratio``: asked ratio of the most to the least frequent *object* class, counted in visible pixels of the
    clean masks over all images of the scene; ``None`` keeps the profile's own ratio. ``object_share``: fraction of all
    pixels that object classes should take (raised or lowered where the ratio demands it). ``min_instances``: per
    class. ``class_absent_prob``: probability that a class is left out of a scene. ``object_scale``: factor on the size
    of vehicles, aircraft, cycles, poles, signs and clutter, or a mapping class name → factor (others 1). ``occlusion``:
    fraction of high trees planted so that their crowns reach over a vehicle, cycle or other small object.
    ``correction_rounds``: dry runs after the first.
    """

    profile: str | Mapping[str, float] = 'stpls3d'
    imbalance_ratio: float | None = None
    object_share: float = 0.2
    min_instances: int = 1
    class_absent_prob: float = 0.0
    object_scale: float | Mapping[str, float] = 1.0
    occlusion: float = 0.0
    correction_rounds: int = 5
    tolerance: float = 0.2


@dataclass(frozen=True)
class FlightConfig:
    """Camera path and lens. ``distortion`` = (k1, k2, p1, p2) of Brown–Conrady."""

    pattern: str = 'crosshatch'
    agl: float = 60.0
    overlap_forward: float = 0.8
    overlap_side: float = 0.8
    width: int = 1024
    height: int = 768
    fov_x: float = 60.0
    distortion: tuple[float, float, float, float] = (-0.02, 0.005, 0.0, 0.0)
    gps_sigma: float = 0.3
    attitude_sigma: float = 0.5


@dataclass(frozen=True)
class RenderConfig:
    """Light and sensor. ``sun_azimuth``/``sun_elevation`` are drawn in 0–360 / 25–70 when ``None``.

    ``supersample``: 1 (one ray per pixel) or 2 (RGB averages four extra rays; masks always use the centre ray).
    """

    ambient: float = 0.35
    sun_azimuth: float | None = None
    sun_elevation: float | None = None
    exposure: tuple[float, float] = (0.85, 1.15)
    shot_noise: float = 0.01
    read_noise: float = 0.004
    vignette: float = 0.25
    texture: float = 0.08
    haze_distance: float = 2500.0
    supersample: int = 1


@dataclass(frozen=True)
class LabelNoiseConfig:
    """Annotation faults in the written masks; clean masks are written beside them when ``fraction`` > 0.

    ``fraction`` of the object instances are faulty; each is mislabelled, dropped or eroded by ``erode_pixels`` with
    relative weights ``mislabel``, ``drop``, ``erode``.
    """

    fraction: float = 0.0
    mislabel: float = 1.0
    drop: float = 1.0
    erode: float = 1.0
    erode_pixels: int = 2


@dataclass(frozen=True)
class OutputConfig:
    """What is written. ``origin`` (easting, northing) of the scene's south-west corner in ``crs``.

    ``ortho_gsd``: ground sampling of the ortho products; the flight's own GSD when ``None``.
    """

    depth: bool = True
    ortho: bool = True
    ortho_gsd: float | None = None
    crs: str = 'EPSG:32611'
    origin: tuple[float, float] = (380000.0, 3765000.0)


@dataclass(frozen=True)
class SceneConfig:
    """One square scene of ``size`` metres. Wrong values raise ``ValueError``/``TypeError`` that name the field."""

    seed: int = 0
    size: float = 120.0
    terrain: TerrainConfig = field(default_factory=TerrainConfig)
    layout: LayoutConfig = field(default_factory=LayoutConfig)
    mix: MixConfig = field(default_factory=MixConfig)
    flight: FlightConfig = field(default_factory=FlightConfig)
    render: RenderConfig = field(default_factory=RenderConfig)
    label_noise: LabelNoiseConfig = field(default_factory=LabelNoiseConfig)
    output: OutputConfig = field(default_factory=OutputConfig)

    def __post_init__(self) -> None:
        from imbdense.data.scene.validate import validate_config

        validate_config(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as nested dicts, lists and numbers (JSON-ready)."""
        return _plain(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SceneConfig:
        """Build a configuration from nested mappings; an unknown key is a ``TypeError`` with the nearest right name."""
        return _build(cls, values, 'SceneConfig')

    def changed(self, **parts: Any) -> SceneConfig:
        """Return a copy with some fields replaced; a mapping changes only the named fields of a nested part.

        Example: ``config.changed(seed=3, mix={'imbalance_ratio': 100})``.
        """
        updates: dict[str, Any] = {}
        for name, value in parts.items():
            current = getattr(self, name, None)
            if isinstance(value, Mapping) and dataclasses.is_dataclass(current):
                merged = {f.name: getattr(current, f.name) for f in dataclasses.fields(current)} | dict(value)
                updates[name] = _build(type(current), merged, name)
            else:
                updates[name] = value
        unknown = set(updates) - {f.name for f in dataclasses.fields(self)}
        if unknown:
            raise TypeError(f'SceneConfig has no field {sorted(unknown)[0]!r}.')
        return dataclasses.replace(self, **updates)


def _plain(value: Any) -> Any:
    """Tuples → lists, mappings → dicts, so that the value equals what JSON gives back."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _build(kind: type[Any], values: Mapping[str, Any], owner: str) -> Any:
    """Recursively build a dataclass, refusing unknown keys."""
    if not isinstance(values, Mapping):
        raise TypeError(f'{owner} must be a mapping of field names to values, but got {type(values).__name__}.')
    defaults = kind()
    names = [f.name for f in dataclasses.fields(kind)]
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1)
            hint = f'did you mean {near[0]!r}?' if near else f'its fields are {names}.'
            raise TypeError(f'{owner} has no field {key!r}; {hint}')
        current = getattr(defaults, key)
        if dataclasses.is_dataclass(current) and not dataclasses.is_dataclass(value):
            value = _build(type(current), value, f'{owner}.{key}')
        arguments[key] = tuple(value) if isinstance(value, list) else value
    return kind(**arguments)


def object_scale(mix: MixConfig, class_id: int) -> float:
    """Return the asked size factor of an object class."""
    if isinstance(mix.object_scale, Mapping):
        return float(mix.object_scale.get(CLASS_NAMES[class_id], 1.0))
    return float(mix.object_scale)


def object_class_id(name: str, owner: str = 'mix.profile') -> int:
    """Return the raw id of object class ``name``; ``ValueError`` with the nearest names otherwise."""
    number = CLASS_IDS.get(name)
    if number not in OBJECT_CLASSES:
        names = [label for label, value in CLASS_IDS.items() if value in OBJECT_CLASSES]
        near = difflib.get_close_matches(str(name), names, n=1)
        hint = f'did you mean {near[0]!r}?' if near else f'the object classes are {names}.'
        raise ValueError(f'{owner}: {name!r} is no object class; {hint}')
    return int(number)
