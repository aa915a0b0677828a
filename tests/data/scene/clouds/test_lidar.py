from __future__ import annotations

import numpy as np
import pytest

from imbdense.data.scene import classes as c
from imbdense.data.scene.clouds.lidar import plan_strips
from imbdense.data.scene.world import WorldBuilder
from tests.data.scene.clouds.conftest import survey, tiny

pytest.importorskip('open3d')
BARE = {'terrain': {'relief': 0.0}, 'layout': {'building_share': 0.0}}


def test_density_noise_and_intensity_on_flat_ground() -> None:
    config = tiny(mode='lidar', scene=BARE, lidar={'density': 6.0, 'range_sigma': 0.05, 'overlap': 0.0,
                                                   'scan_angle': 27.0})
    builder = WorldBuilder(config.scene)
    strips = plan_strips(config, builder.terrain)
    assert len(strips) == 1 and strips[0].east == 20.0
    found, _, _ = survey(config, {})
    cloud = found.cloud
    assert len(cloud) / 40**2 == pytest.approx(6.0, rel=0.1)
    assert cloud.xyz[:, 2].std() == pytest.approx(0.05 * np.mean(np.cos(np.linspace(-0.46, 0.46, 99))), rel=0.15)
    assert set(cloud.attributes) == {'intensity', 'return_number', 'number_of_returns'}
    assert (cloud.attributes['number_of_returns'] == 1).all() and (cloud.instance == -1).all()
    assert cloud.attributes['intensity'].min() >= 0 and cloud.attributes['intensity'].max() <= 1


def test_leaves_let_a_part_of_the_pulses_through() -> None:
    config = tiny(mode='lidar', scene=BARE)
    cloud = survey(config, {c.HIGH_VEG: 6})[0].cloud
    number, total = cloud.attributes['return_number'], cloud.attributes['number_of_returns']
    assert (number >= 1).all() and (number <= total).all() and total.max() == 4
    several = total > 1
    assert (cloud.semantic[several & (number == 1)] == c.HIGH_VEG).mean() > 0.99
    assert (cloud.semantic[several & (number == total)] != c.HIGH_VEG).mean() > 0.1  # ground under crowns
    opaque = survey(config.changed(lidar={'transmission': 0.0}), {c.HIGH_VEG: 6})[0].cloud
    assert (opaque.attributes['number_of_returns'] == 1).all() and len(opaque) < len(cloud)
