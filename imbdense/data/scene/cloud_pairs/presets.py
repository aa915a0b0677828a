"""Named configurations of pairs of clouds: ``tiny`` (unit tests), ``small``, ``small-lidar``, ``standard-lidar``."""

from __future__ import annotations

from dataclasses import dataclass

from imbdense.data.scene.cloud_pairs.config import CloudPairConfig
from imbdense.data.scene.clouds.config import LidarConfig
from imbdense.data.scene.clouds.presets import CLOUD_PRESETS


@dataclass(frozen=True)
class CloudPairPreset:
    """A configuration with the number of pairs it makes a data set of."""

    pair: CloudPairConfig
    scenes: int
    val: int
    purpose: str


_TINY = CLOUD_PRESETS['tiny'].cloud.changed(mode='lidar', scene={
    'size': 48.0, 'layout': {'min_lot_area': 100.0, 'street_spacing': (30, 45)}, 'mix': {'correction_rounds': 0}},
    lidar=LidarConfig(density=4.0))
_PROFILE = {'high_vegetation': 100.0, 'medium_vegetation': 30.0, 'low_vegetation': 10.0, 'vehicle': 25.0, 'truck': 10.0,
            'fence': 6.0, 'clutter': 6.0, 'light_pole': 2.0}
_SMALL = CLOUD_PRESETS['small'].cloud.changed(scene={'size': 100.0, 'mix': {'profile': _PROFILE}})

CLOUD_PAIR_PRESETS: dict[str, CloudPairPreset] = {
    'tiny': CloudPairPreset(CloudPairConfig(_TINY, change_share=0.1), 2, 1,
                            'unit tests: 48 m, laser scanning, 4 pulses per m²'),
    'small': CloudPairPreset(CloudPairConfig(_SMALL), 8, 2, '100 m, photogrammetry, voxel 0.4 m'),
    'small-lidar': CloudPairPreset(CloudPairConfig(_SMALL.changed(mode='lidar', lidar=LidarConfig(density=4.0))), 8, 2,
                                   '100 m, airborne laser scanning, 4 pulses per m²'),
    'standard-lidar': CloudPairPreset(
        CloudPairConfig(CLOUD_PRESETS['standard-lidar'].cloud.changed(
            scene={'size': 200.0, 'mix': {'profile': _PROFILE}}, lidar=LidarConfig(density=2.0))), 12, 3,
        '200 m, airborne laser scanning, 2 pulses per m²'),
}
