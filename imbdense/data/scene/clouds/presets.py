"""Named configurations of clouds: ``tiny`` (unit tests), ``small``, ``standard``, ``standard-lidar``."""

from __future__ import annotations

from dataclasses import dataclass

from imbdense.data.scene.clouds.config import CloudConfig, StereoConfig
from imbdense.data.scene.config import FlightConfig, MixConfig, SceneConfig
from imbdense.data.scene.presets import PRESETS


@dataclass(frozen=True)
class CloudPreset:
    """A configuration with the number of clouds it makes a data set of, and its class mapping."""

    cloud: CloudConfig
    scenes: int
    val: int
    mapping: str
    purpose: str


_ROUNDS = MixConfig(correction_rounds=3)
_SMALL = SceneConfig(size=80, mix=_ROUNDS, flight=FlightConfig(
    pattern='oblique', agl=50, overlap_forward=0.6, overlap_side=0.6, width=320, height=240, fov_x=50))
_STANDARD = PRESETS['standard'].scene.changed(mix={'correction_rounds': 3})

CLOUD_PRESETS: dict[str, CloudPreset] = {
    'tiny': CloudPreset(
        CloudConfig(PRESETS['tiny'].scene.changed(mix={'correction_rounds': 1}),
                    stereo=StereoConfig(match_scale=1.0, voxel=0.5)),
        2, 1, 'clean6', 'unit tests: 40 m, voxel 0.5 m'),
    'small': CloudPreset(CloudConfig(_SMALL, stereo=StereoConfig(voxel=0.4)), 8, 2, 'clean6',
                         '80 m, nadir and four oblique headings, voxel 0.4 m'),
    'standard': CloudPreset(CloudConfig(_STANDARD), 8, 2, 'clean6',
                            "the specification's 120 m scene, 216 images, voxel 0.25 m"),
    'standard-lidar': CloudPreset(CloudConfig(_STANDARD, 'lidar'), 8, 2, 'clean6',
                                  '120 m, airborne laser scanning, 8 pulses per m², up to four echoes'),
}
