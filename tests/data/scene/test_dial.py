from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from imbdense.data.scene import classes as c
from imbdense.data.scene import mix
from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.dial import dry_run_scale, solve_mix
from imbdense.data.scene.flight import plan_flight
from imbdense.data.scene.presets import PRESETS
from imbdense.data.scene.subset import choose_subset
from imbdense.data.scene.world import WorldBuilder

BASE = PRESETS['small'].scene.changed(seed=1, size=64, flight={
    'pattern': 'nadir', 'overlap_forward': 0.3, 'overlap_side': 0.3, 'width': 256, 'height': 192})


def solve(config: SceneConfig) -> dict[str, Any]:
    pytest.importorskip('open3d')
    builder = WorldBuilder(config)
    return solve_mix(config, builder, plan_flight(config, builder.terrain)).report


def test_weights_hand_example() -> None:
    profile = {'vehicle': 100.0, 'truck': 10.0, 'bike': 1.0}
    config = BASE.changed(mix={'profile': profile, 'imbalance_ratio': 16.0})
    assert mix.target_weights(config) == pytest.approx({c.VEHICLE: 16.0, c.TRUCK: 4.0, c.BIKE: 1.0})
    natural = BASE.changed(mix={'profile': profile})
    assert mix.target_weights(natural) == pytest.approx({c.VEHICLE: 100.0, c.TRUCK: 10.0, c.BIKE: 1.0})


@pytest.mark.parametrize('ratio', [10.0, 100.0, 1000.0])
@pytest.mark.parametrize('profile', ['stpls3d', 'zipf'])
def test_weights_span_exactly_the_asked_ratio_and_keep_the_order(profile: str, ratio: float) -> None:
    weights = mix.target_weights(BASE.changed(mix={'profile': profile, 'imbalance_ratio': ratio}))
    assert mix.asked_ratio(weights) == pytest.approx(ratio) and c.AIRCRAFT not in weights
    assert max(weights, key=lambda k: weights[k]) == c.HIGH_VEG


def test_share_errors_and_misfit() -> None:
    weights = {c.VEHICLE: 3.0, c.BIKE: 1.0}
    assert mix.share_errors(weights, {c.VEHICLE: 300, c.BIKE: 100}) == pytest.approx({c.VEHICLE: 0, c.BIKE: 0})
    assert mix.misfit(weights, {c.VEHICLE: 300, c.BIKE: 100}) == pytest.approx(0)
    assert mix.misfit(weights, {c.VEHICLE: 300, c.BIKE: 0}) > 5
    assert mix.share_errors(weights, {}) == {c.VEHICLE: -1.0, c.BIKE: -1.0}
    assert mix.imbalance_ratio({c.VEHICLE: 300.0}) is None


def test_subset_reaches_the_target_and_keeps_the_minimum() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(20, 200, 40).astype(float)
    for target in (150.0, 999.0, 2500.0):
        chosen = choose_subset(pixels, target, 1)
        assert abs(pixels[chosen].sum() - target) <= 0.03 * target
    assert pixels[choose_subset(pixels, 1.0, 1)].sum() == pixels.min()
    assert choose_subset(pixels, 0.0, 0).sum() == 0 and choose_subset(pixels, 1e9, 0).all()
    assert choose_subset(pixels, 0.0, 5).sum() == 5
    assert choose_subset(np.empty(0), 10.0, 1).shape == (0,)
    start = choose_subset(pixels, 1000.0, 1)
    assert np.array_equal(choose_subset(pixels, float(pixels[start].sum()), 1, start), start)


def test_dry_run_scale() -> None:
    assert [dry_run_scale(n) for n in (10**5, 4 * 10**6, 42 * 10**6)] == [1.0, 0.5, 0.25]


@pytest.mark.parametrize('ratio', [10.0, 100.0, 1000.0])
def test_asked_ratio_is_reached_within_a_quarter(ratio: float) -> None:
    report = solve(BASE.changed(mix={'imbalance_ratio': ratio}))
    assert report['expected_ratio'] == pytest.approx(ratio, rel=0.25)
    if ratio == 10:  # at larger ratios one truck alone is more than its share of so small a scene
        assert max(abs(error) for error in report['expected_share_error'].values()) < 0.25


def test_balanced_profile_stays_within_a_factor_of_two() -> None:
    assert solve(BASE.changed(mix={'profile': 'balanced'}))['expected_ratio'] < 2


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize(('profile', 'ratio'), [('stpls3d', 10.0), ('stpls3d', 100.0), ('stpls3d', 1000.0),
                                                ('zipf', 100.0), ('stpls3d', None), ('balanced', None)])
def test_dial_over_seeds_and_profiles(seed: int, profile: str, ratio: float | None) -> None:
    report = solve(BASE.changed(seed=seed, mix={'profile': profile, 'imbalance_ratio': ratio}))
    if profile == 'balanced':
        assert report['expected_ratio'] < 2
    else:
        assert report['expected_ratio'] == pytest.approx(report['asked_ratio'], rel=0.25)


def test_changing_the_mix_leaves_streets_buildings_terrain_and_cameras_alone() -> None:
    first, second = (WorldBuilder(BASE.changed(mix=change)) for change in (
        {'profile': 'stpls3d'}, {'profile': {'vehicle': 5.0, 'bike': 1.0}, 'class_absent_prob': 0.3}))
    assert np.array_equal(first.terrain.heights, second.terrain.heights)
    assert np.array_equal(first.ground.material, second.ground.material)
    assert [plan.height for plan in first.layout.buildings] == [plan.height for plan in second.layout.buildings]
    for one, two in zip(plan_flight(first.config, first.terrain), plan_flight(second.config, second.terrain)):
        assert np.array_equal(one.c2w, two.c2w)


def test_absence_is_a_dial_of_its_own() -> None:
    seeds = range(60)
    absent = [mix.absent_classes(BASE.changed(seed=seed, mix={'class_absent_prob': 0.3})) for seed in seeds]
    assert 0.22 < np.mean([len(found) for found in absent]) / len(c.OBJECT_CLASSES) < 0.38
    config = BASE.changed(mix={'class_absent_prob': 0.4})
    gone, weights = mix.absent_classes(config), mix.target_weights(config)
    full = mix.target_weights(BASE)
    assert gone and not gone & set(weights)
    assert all(weights[number] == pytest.approx(full[number]) for number in weights)
    report = solve(config)
    assert set(report['absent']) == {c.CLASS_NAMES[number] for number in gone}
    assert not set(report['instances']) & set(report['absent'])


def test_everything_absent_leaves_streets_and_houses() -> None:
    report = solve(BASE.changed(mix={'class_absent_prob': 1.0}))
    assert report['instances'] == {} and report['expected_ratio'] is None


def test_minimum_number_of_instances() -> None:
    profile = {'high_vegetation': 300.0, 'truck': 3.0, 'bike': 1.0}
    report = solve(BASE.changed(mix={'profile': profile, 'min_instances': 4}))
    assert min(report['instances'].values()) >= 4


def test_smaller_objects_come_in_larger_numbers_at_the_same_shares() -> None:
    profile = {'high_vegetation': 50.0, 'vehicle': 10.0, 'bike': 1.0}
    full, half = (solve(BASE.changed(mix={'profile': profile, 'object_scale': scale})) for scale in (1.0, 0.6))
    assert half['instances']['vehicle'] > 1.8 * full['instances']['vehicle']
    assert half['expected_ratio'] == pytest.approx(50, rel=0.25)
