"""The whole report: warnings on shifted and on equal pools, agreement, JSON, forecast."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from imbdense.core.shift import ADVICE, PoolSample, forecast_gain, measure_shift
from imbdense.core.shift.planted import KINDS, Planted, images_per_class, plant
from imbdense.core.shift.probe import Discriminant, class_f1, self_train
from tests.core.shift.samples import PRIOR, noise, side

NAMES = tuple('abcd')


def warned(seed: int, **shift: float) -> bool:
    """Whether 'shift' is printed."""
    labelled = side(40, 2 * seed, labelled=True, per_image=10)
    pool = side(40, 2 * seed + 1, labelled=False, per_image=10, **shift)
    plain = [PoolSample(one.vectors, one.group) for one in (labelled, pool)]
    return measure_shift(*plain, NAMES, permutations=99, seed=seed).verdict == 'shift'


def test_inverted_contrast_warns_and_equal_pools_rarely_do():
    assert all(warned(seed, gain=-1.0) for seed in range(3))
    assert np.mean([warned(seed) for seed in range(12)]) <= 1 / 12


@pytest.mark.slow
def test_equal_pools_warn_in_at_most_one_run_of_twenty():
    assert np.mean([warned(seed) for seed in range(200)]) <= 0.05


def test_everything_at_once_and_as_json():
    ticks = []
    report = measure_shift(
        side(60, 0, labelled=True), side(60, 1, labelled=False, prior=(0.3, 0.2, 0.1, 0.4)), NAMES,
        permutations=49, bootstraps=20, progress=lambda done, total: ticks.append((done, total)),
    )  # fmt: skip
    assert report.verdict == 'shift' and ticks[-1] == (5, 5) and report.images == (60, 60)
    assert report.prior is not None and report.prior.em[3] == pytest.approx(0.4, abs=0.05)
    record = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert record['verdict'] == 'shift' and record['advice'] == ADVICE and len(record['by_class']) == 4
    assert record['features']['excess'] == pytest.approx(report.features.excess)
    assert record['prior']['ratio'][3] == pytest.approx(report.prior.em[3] / report.prior.labelled[3])


def test_a_shift_is_printed_only_where_the_three_agree():
    report = measure_shift(*(PoolSample(s.vectors, s.group) for s in (
        side(30, 0, labelled=True), side(30, 1, labelled=False, move=1.0))), NAMES, permutations=49)  # fmt: skip
    assert report.verdict == 'shift' and report.prior is None and report.forecast is None and report.by_class == ()
    for changed in (
        {'mmd': replace(report.mmd, value=-0.1)}, {'domain': replace(report.domain, auroc=0.45)},
        {'features': replace(report.features, fd_inf=-0.1)},
    ):
        assert replace(report, **changed).verdict == 'unclear'
    assert replace(report, features=replace(report.features, p_value=0.2)).verdict == 'no shift found'
    assert replace(report, domain=replace(report.domain, auroc=math.nan)).verdict == 'unknown'


def test_too_few_images_give_unknown_and_no_number():
    few = PoolSample(noise(30, 4, 0), np.arange(30) % 3)
    record = measure_shift(few, few, NAMES).to_dict()
    assert record['verdict'] == 'unknown' and record['features']['fd_inf'] is None and record['features']['reason']


def test_linear_probe_is_good_and_self_training_helps_where_labels_are_few():
    data = side(200, 0, labelled=True).truth
    held = side(50, 1, labelled=True).truth
    model = Discriminant.fit(data.vectors, data.label, data.weight, 4)
    best = class_f1(model.chances(held.vectors).argmax(1), held.label, held.weight, 4)
    assert best.mean() > 70
    gains = []
    for seed in range(10):
        few = np.isin(data.group, np.random.default_rng(seed).permutation(200)[:4])
        small = Discriminant.fit(data.vectors[few], data.label[few], data.weight[few], 4)
        better = self_train(small, data.vectors[few], data.label[few], data.weight[few], data.vectors[~few],
                            data.weight[~few], 4)  # fmt: skip
        scores = [class_f1(m.chances(held.vectors).argmax(1), held.label, held.weight, 4) for m in (small, better)]
        gains.append(scores[1] - scores[0])
    assert np.mean(gains, axis=0)[0] > 0


def test_planted_priors_are_what_they_say():
    data = side(40, 0, labelled=True).truth
    planted = Planted(data.vectors, data.label, data.group, data.weight)
    rng = np.random.default_rng(0)
    for _ in range(5 * len(KINDS)):
        shifted, ratio = plant(planted, 4, rng)
        mass = [np.bincount(p.label, p.weight, minlength=4) for p in (planted, shifted)]
        assert ratio == pytest.approx(mass[1] / mass[0]) and mass[1].sum() == pytest.approx(mass[0].sum())
    assert images_per_class(planted, 4).max() <= 40


def test_forecast_covers_what_happens_and_says_what_it_is_worth():
    """The real gain of the linear classifier on new pools lies in the interval about as often as it promises."""
    labelled = side(80, 0, labelled=True)
    inside = []
    for seed in range(4):
        pool = side(80, 10 + seed, labelled=False, prior=PRIOR, move=0.3 * seed)
        found = forecast_gain(labelled.truth, pool.vectors, pool.group, 4, seed=seed, simulations=60)
        known = np.array(found.status) == 'ok'
        assert known[:3].all() and (found.low[known] < found.gain[known]).all() and found.r_squared <= 1
        assert 0.8 < found.coverage <= 1 and 'not a verdict' in found.note
        inside += ((found.low <= found.probe_gain) & (found.probe_gain <= found.high))[known].tolist()
    assert np.mean(inside) >= 0.75


def test_no_forecast_without_enough_images():
    few = side(10, 0, labelled=True)
    found = forecast_gain(few.truth, few.vectors, few.group, 4)
    assert np.isnan(found.gain).all() and '40 and 20 are needed' in found.reason
