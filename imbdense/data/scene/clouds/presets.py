"""Named configurations of clouds: ``tiny`` (unit tests), ``small``, ``standard``, ``standard-lidar``, ``ign-lidar``."""

from __future__ import annotations

from dataclasses import dataclass

from imbdense.data.scene.clouds.config import CloudConfig, LidarConfig, StereoConfig
from imbdense.data.scene.config import FlightConfig, LayoutConfig, MixConfig, SceneConfig
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
_IGN_PROFILE = {'high_vegetation': 60.0, 'medium_vegetation': 8.0, 'low_vegetation': 6.0, 'vehicle': 10.0, 'truck': 1.5,
                'fence': 3.0, 'clutter': 2.0, 'light_pole': 0.6, 'street_sign': 0.3, 'bike': 0.2, 'motorcycle': 0.2}
_IGN = SceneConfig(
    size=80, layout=LayoutConfig(density='urban', street_spacing=(80, 120), street_width=(5, 8)),
    mix=MixConfig(profile=_IGN_PROFILE, object_share=0.4, min_instances=0, correction_rounds=2),
    flight=FlightConfig(pattern='nadir', agl=200, width=512, height=384))
"""A French town as the sample tiles of IGN LiDAR HD show it: 40 % ground, 30 % plants, 25 % buildings, cars."""

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
    'ign-lidar': CloudPreset(
        CloudConfig(_IGN, 'lidar', lidar=LidarConfig(
            density=13, overlap=0.55, range_sigma=0.03, transmission=0.45, vegetation_bounds=(0.5, 1.5))),
        8, 0, 'full', 'like IGN LiDAR HD: 80 m, two strips, 28 points per m², plants labelled by height'),
}
