from __future__ import annotations

import numpy as np
import pytest

from imbdense.data.scene import classes as c
from imbdense.data.scene.clouds.fusion import Cloud
from imbdense.data.scene.clouds.lidar import plan_strips, vegetation_by_height
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


def test_plants_are_labelled_by_the_height_of_each_point_where_asked() -> None:
    builder = WorldBuilder(tiny(mode='lidar', scene=BARE).scene)
    ground = builder.terrain.height_at(np.full(6, 20.0), np.full(6, 20.0))
    above = np.array([0.2, 0.7, 3.0, 0.5, 1.5, 3.0])
    raw = np.array([c.HIGH_VEG] * 5 + [c.VEHICLE], np.uint8)
    xyz = np.column_stack([np.full((6, 2), 20.0), ground + above + 1e-9])
    cloud = Cloud(xyz, raw, np.arange(6, dtype=np.int32), {})
    found = vegetation_by_height(cloud, builder.terrain, (0.5, 1.5))
    assert found.semantic.tolist() == [c.LOW_VEG, c.MEDIUM_VEG, c.HIGH_VEG, c.MEDIUM_VEG, c.HIGH_VEG, c.VEHICLE]
    assert found.semantic.dtype == np.uint8 and found.instance.tolist() == list(range(6))


def test_a_survey_with_bounds_changes_only_the_labels_of_plants() -> None:
    config = tiny(mode='lidar', scene=BARE)
    plants = {c.HIGH_VEG: 4, c.LOW_VEG: 3, c.VEHICLE: 2}
    plain = survey(config, plants)[0]
    bounded = survey(config.changed(lidar={'vegetation_bounds': (0.5, 1.5)}), plants)[0]
    assert np.array_equal(plain.cloud.xyz, bounded.cloud.xyz)
    changed = plain.cloud.semantic != bounded.cloud.semantic
    assert changed.any() and set(plain.cloud.semantic[changed]) <= {c.LOW_VEG, c.HIGH_VEG}
    assert (bounded.cloud.semantic == c.MEDIUM_VEG).any() and bounded.pixels.sum() == plain.pixels.sum()
    assert np.array_equal(bounded.pixels, np.bincount(bounded.cloud.semantic, minlength=256))


@pytest.mark.parametrize('bounds', [(1.5, 0.5), (0.0, 1.0), (0.5,)])
def test_bounds_must_rise(bounds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r'lidar\.vegetation_bounds must be two rising heights'):
        tiny(mode='lidar', lidar={'vegetation_bounds': bounds})
