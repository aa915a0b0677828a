"""The configuration of one generated point cloud: a scene, how it is surveyed, and what is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imbdense.data.scene.config import SceneConfig

MODES = ('photogrammetry', 'lidar')
FORMATS = ('npz', 'txt', 'ply', 'las', 'laz')


@dataclass(frozen=True)
class StereoConfig:
    """Dense image matching and fusion. Lengths in m unless a name says otherwise.

    ``match_scale``: depth maps have this fraction of the image's resolution. ``sigma_px``: matching precision in pixels
    of the *image*; a depth then has ``sigma_z = z² · sigma_px / (f · b)``. ``baseline`` b: the along-track step of the
    flight when ``None``. ``fatten_px``: how far depths on both sides of a depth jump are mixed, pixels of the *image*.
    ``textureless``: largest probability of a pixel without texture to find no match. ``grazing``: cosine of the
    incidence angle below which matches begin to fail. ``attrition``: whether objects narrower than two matched pixels
    lose points. ``pose_sigma``: (horizontal, vertical) error of the poses the depth maps are put together with.
    ``voxel``: grid of the fused cloud. ``min_views``: images that must agree on a voxel.
    """

    match_scale: float = 0.5
    sigma_px: float = 0.35
    baseline: float | None = None
    fatten_px: int = 2
    textureless: float = 0.9
    grazing: float = 0.2
    attrition: bool = True
    pose_sigma: tuple[float, float] = (0.02, 0.03)
    voxel: float = 0.25
    min_views: int = 3


@dataclass(frozen=True)
class LidarConfig:
    """Airborne scan lines across parallel strips at ``flight.agl``.

    ``density``: pulses per m² of one strip. ``scan_angle``: half opening in degrees. ``overlap``: part of a strip that
    the next one sees again. ``range_sigma``: range noise in m. ``max_echoes`` per pulse. ``transmission``: probability
    that a pulse goes on behind the leaves it met. ``vegetation_bounds``: heights above the ground in m that part low,
    medium and high vegetation point by point, as national surveys label it (a trunk's foot is low vegetation); ``None``
    = the class of the plant. The dial counts plants in any case.
    """

    density: float = 8.0
    scan_angle: float = 20.0
    overlap: float = 0.2
    range_sigma: float = 0.02
    max_echoes: int = 4
    transmission: float = 0.5
    vegetation_bounds: tuple[float, float] | None = None


@dataclass(frozen=True)
class CloudConfig:
    """One cloud of one scene. Wrong values raise ``ValueError``/``TypeError`` that name the field.

    ``mode``: 'photogrammetry' or 'lidar'. ``scene.mix`` counts *points of the cloud* here, not pixels. ``images``: also
    write the flight's images, masks, instances and depths. ``formats``: files of the cloud, see ``FORMATS``.
    """

    scene: SceneConfig = field(default_factory=SceneConfig)
    mode: str = 'photogrammetry'
    stereo: StereoConfig = field(default_factory=StereoConfig)
    lidar: LidarConfig = field(default_factory=LidarConfig)
    images: bool = False
    formats: tuple[str, ...] = ('npz',)

    def __post_init__(self) -> None:
        from imbdense.core.checks import check_choice, check_integer, check_number

        for name, kind in (('scene', SceneConfig), ('stereo', StereoConfig), ('lidar', LidarConfig)):
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f'CloudConfig: {name} must be a {kind.__name__}, but got {getattr(self, name)!r}.')
        check_choice('mode', self.mode, MODES, owner='CloudConfig')
        for part, name, low, high in (
                ('stereo', 'match_scale', 0.1, 1), ('stereo', 'sigma_px', 0, 10), ('stereo', 'textureless', 0, 1),
                ('stereo', 'grazing', 0, 1), ('stereo', 'voxel', 0.02, 10), ('lidar', 'density', 0.05, 500),
                ('lidar', 'scan_angle', 1, 75), ('lidar', 'overlap', 0, 0.9), ('lidar', 'range_sigma', 0, 5),
                ('lidar', 'transmission', 0, 1)):
            check_number(f'{part}.{name}', getattr(getattr(self, part), name), low=low, high=high, owner='CloudConfig')
        for part, name, first, last in (('stereo', 'fatten_px', 0, 20), ('stereo', 'min_views', 1, 100),
                                        ('lidar', 'max_echoes', 1, 15)):
            check_integer(f'{part}.{name}', getattr(getattr(self, part), name), low=first, high=last,
                          owner='CloudConfig')
        if self.stereo.baseline is not None:
            check_number('stereo.baseline', self.stereo.baseline, low=0.01, high=1e4, owner='CloudConfig')
        bounds = self.lidar.vegetation_bounds
        if bounds is not None and not (len(bounds) == 2 and 0 < bounds[0] < bounds[1]):
            raise ValueError('CloudConfig: lidar.vegetation_bounds must be two rising heights above 0 m, such as '
                             f'(0.5, 1.5), or None, but got {bounds!r}.')
        for value in self.stereo.pose_sigma:
            check_number('stereo.pose_sigma', value, low=0, high=10, owner='CloudConfig')
        if not self.formats or len(set(self.formats)) < len(self.formats):
            raise ValueError(f'CloudConfig: formats must name each of {FORMATS} at most once and at least one of them, '
                             f'but got {self.formats!r}.')
        for name in self.formats:
            check_choice('formats', name, FORMATS, owner='CloudConfig')

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as nested dicts, lists and numbers (JSON-ready)."""
        values = {part: {name: list(value) if isinstance(value, tuple) else value for name, value
                         in dataclasses.asdict(getattr(self, part)).items()} for part in ('stereo', 'lidar')}
        return {'scene': self.scene.to_dict(), 'mode': self.mode, **values, 'images': self.images,
                'formats': list(self.formats)}

    def changed(self, **parts: Any) -> CloudConfig:
        """Return a copy with some fields replaced; a mapping for ``scene``, ``stereo`` or ``lidar`` changes only the
        named fields of it. Example: ``config.changed(scene={'seed': 3}, stereo={'voxel': 0.5})``."""
        for name in ('scene', 'stereo', 'lidar'):
            value = parts.get(name)
            if isinstance(value, Mapping):
                part = getattr(self, name)
                unknown = set(value) - {item.name for item in dataclasses.fields(part)}
                if unknown:
                    raise TypeError(f'CloudConfig.{name} has no field {sorted(unknown)[0]!r}; its fields are '
                                    f'{[item.name for item in dataclasses.fields(part)]}.')
                parts[name] = part.changed(**value) if name == 'scene' else dataclasses.replace(part, **value)
        return dataclasses.replace(self, **parts)
