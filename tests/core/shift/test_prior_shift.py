"""Class shares of a pool: planted priors recovered, intervals, what cannot be identified, slow references."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from imbdense.core.shift import (
    ClassOutputs,
    bbse_prior,
    class_separation,
    em_priors,
    estimate_prior_shift,
    usable_prior,
)
from imbdense.core.shift.em_prior import fit_bias_temperature, probabilities
from imbdense.core.shift.prior_shift import confusion_shares
from tests.core.shift.samples import PRIOR, outputs

POOLS = {
    'equal': PRIOR,
    'rare 20 times rarer': (0.6, 0.27, 0.1275, 0.0025),
    'rare 11 times more': (0.05, 0.25, 0.15, 0.55),
    'frequent 20 times rarer': (0.0275, 0.45, 0.35, 0.1725),
    'reversed': (0.05, 0.15, 0.25, 0.55),
}


@pytest.mark.parametrize('tilt', [None, -np.log(np.array(PRIOR))], ids=['plain', 'balanced loss'])
@pytest.mark.parametrize('pool', POOLS.values(), ids=POOLS)
def test_planted_priors_are_recovered(pool, tilt):
    """Within 15 % for every class with 50 places or more, also by a model that was trained to be balanced.

    The cross-check counts hard decisions: with a share below 1 % the false alarms of the others outnumber the class.
    """
    scale = None if tilt is None else 7.0 * tilt
    labelled = outputs(PRIOR, 20_000, 200, 0, tilt=scale)[0]
    unlabelled, truth = outputs(pool, 30_000, 300, 1, labelled=False, tilt=scale)
    found = estimate_prior_shift(labelled, unlabelled, bootstraps=0)
    real = np.bincount(truth, minlength=4) / truth.size
    enough = np.bincount(truth, minlength=4) >= 50
    assert np.abs(found.em / real - 1)[enough].max() < 0.15
    assert np.abs(found.bbse / real - 1)[real >= 0.01].max() < 0.15
    assert set(np.array(found.status)[real >= 0.01]) == {'ok'}
    assert found.ratio == pytest.approx(found.em / found.labelled)
    assert found.total_variation == pytest.approx(0.5 * np.abs(found.em - found.labelled).sum())


def test_intervals_hold_the_truth_and_shrink_with_images():
    inside = []
    for seed in range(12):
        labelled = outputs(PRIOR, 4000, 100, 10 + seed, distance=2.5)[0]
        unlabelled = outputs((0.3, 0.3, 0.2, 0.2), 4000, 100, 50 + seed, labelled=False, distance=2.5)[0]
        found = estimate_prior_shift(labelled, unlabelled, bootstraps=100)
        # The interval is about the shares the images were drawn from.
        inside += [(found.low <= [0.3, 0.3, 0.2, 0.2]) & (found.high >= [0.3, 0.3, 0.2, 0.2])]
        assert found.tv_low <= found.total_variation <= found.tv_high
    assert np.mean(inside) > 0.85
    small = outputs((0.3, 0.3, 0.2, 0.2), 400, 10, 5, labelled=False, distance=2.5)[0]
    wide = estimate_prior_shift(labelled, small, bootstraps=100)
    assert (wide.high - wide.low > found.high - found.low).all()


def test_a_constant_model_identifies_nothing():
    label = np.random.default_rng(0).choice(4, 2000, p=PRIOR)
    logits = np.tile([3.0, 0, 0, 0], (2000, 1))
    group = np.arange(2000) % 50
    found = estimate_prior_shift(
        ClassOutputs(logits, label, np.ones(2000), group), ClassOutputs(logits, label * 0 - 1, np.ones(2000), group)
    )
    assert set(found.status) == {'not identifiable'} and not found.identifiable and math.isnan(found.max_ratio)


def test_two_classes_the_model_mixes_up_are_not_identifiable():
    labelled = outputs((0.4, 0.3, 0.3), 3000, 60, 0)[0]
    blind = np.array(labelled.logits)
    blind[:, 2] = blind[:, 1] = np.maximum(blind[:, 1], blind[:, 2])
    sides = [
        ClassOutputs(blind, label, labelled.weight, labelled.group)
        for label in (labelled.label, np.full_like(labelled.label, -1))
    ]
    found = estimate_prior_shift(*sides, bootstraps=0)
    assert found.status == ('ok', 'not identifiable', 'not identifiable')


def test_absent_and_scarce_classes():
    labelled = outputs((0.6, 0.39, 0.01, 0.0), 2000, 50, 0)[0]
    found = estimate_prior_shift(labelled, outputs(PRIOR, 2000, 50, 1, labelled=False)[0], bootstraps=20)
    assert found.status[2:] == ('insufficient', 'absent')
    assert math.isnan(found.em[3]) and math.isnan(found.ratio[3]) and np.nansum(found.em) == pytest.approx(1)


def test_em_is_the_textbook_loop():
    rng = np.random.default_rng(0)
    chances = rng.dirichlet([1, 1, 1], 200)
    prior, weight = np.array([0.5, 0.3, 0.2]), rng.random(200)
    slow = prior.copy()
    for _ in range(200):
        post = chances * slow / prior
        post /= post.sum(axis=1, keepdims=True)
        slow = (weight[:, None] * post).sum(axis=0) / weight.sum()
    both = em_priors(chances, prior, np.stack([weight, weight * 3], axis=1))
    assert both == pytest.approx(np.stack([slow, slow]), abs=1e-4)


def test_bbse_inverts_the_confusion():
    confusion = np.array([[0.5, 0.02, 0.0], [0.05, 0.25, 0.01], [0.0, 0.03, 0.14]])
    prior = confusion.sum(axis=0)
    wanted = np.array([0.1, 0.3, 0.6])
    predicted = (confusion / prior) @ wanted
    assert bbse_prior(confusion, predicted, 0.0) == pytest.approx(wanted, abs=1e-6)
    assert bbse_prior(confusion, predicted, 1e9) == pytest.approx(prior, abs=1e-3), 'a huge ridge says: no shift'
    found = bbse_prior(confusion, np.array([0.0, 0.0, 1.0]), 1e-3)
    assert (found >= 0).all() and found.sum() == pytest.approx(1)


def test_separation_by_hand():
    """Class 2 is predicted as the even mixture of the other two: nothing tells it from them."""
    columns = np.array([[0.8, 0.2, 0.5], [0.2, 0.8, 0.5], [0.0, 0.0, 0.0]])
    found = class_separation(columns * [0.5, 0.3, 0.2])
    assert found[2] == pytest.approx(0, abs=1e-4) and found[0] == pytest.approx(0.3, abs=1e-4)
    assert class_separation(np.diag([0.5, 0.5, 0.0]))[:2] == pytest.approx([1, 1])


def test_bias_and_temperature_undo_a_tilt():
    made, label = outputs(PRIOR, 8000, 80, 3, distance=2.0)
    tilted = made.logits * 3 + np.array([0.0, 4.0, -2.0, 6.0])
    temperature, bias = fit_bias_temperature(tilted, label, np.ones(8000))
    chance = probabilities(tilted, temperature, bias)
    assert chance.mean(axis=0) == pytest.approx(np.bincount(label) / 8000, abs=0.005)
    assert bias.mean() == pytest.approx(0, abs=1e-9)


def test_weights_count_places():
    made, _ = outputs(PRIOR, 500, 20, 0)
    twice = ClassOutputs.concat([made, made])
    weighted = ClassOutputs(made.logits, made.label, 2 * made.weight, made.group)
    assert confusion_shares(twice) == pytest.approx(confusion_shares(weighted))


def test_wrong_sides_are_named():
    a, b = outputs(PRIOR, 100, 10, 0)[0], outputs((0.5, 0.5), 100, 10, 0)[0]
    with pytest.raises(ValueError, match='4 classes, the unlabelled ones 2'):
        estimate_prior_shift(a, b)
    with pytest.raises(ValueError, match='labelled places'):
        estimate_prior_shift(outputs(PRIOR, 100, 10, 0, labelled=False)[0], a)


def test_usable_shares_keep_the_labelled_ones_where_nothing_can_be_told():
    """A class the model has stopped predicting keeps the labelled share; one absent from the labels the predicted."""
    labelled = outputs(PRIOR, 20_000, 200, 0)[0]
    pool = outputs((0.6, 0.27, 0.1275, 0.0025), 30_000, 300, 1, labelled=False)[0]
    found = estimate_prior_shift(labelled, pool, bootstraps=0)
    assert usable_prior(found, pool) == pytest.approx(found.em, abs=1e-9)
    unknown = replace(found, status=('ok', 'ok', 'ok', 'not identifiable'))
    prior = usable_prior(unknown, pool)
    assert prior.sum() == pytest.approx(1.0) and prior[3] == pytest.approx(found.labelled[3])
    assert prior[:2] / prior[1] == pytest.approx(found.em[:2] / found.em[1])
    predicted = np.bincount(pool.predicted, pool.weight, minlength=4) / pool.weight.sum()
    absent = replace(found, status=('ok', 'ok', 'ok', 'absent'), em=np.array([*found.em[:3], np.nan]))
    assert usable_prior(absent, pool)[3] == pytest.approx(predicted[3])
    none = replace(found, status=('not identifiable',) * 4)
    assert usable_prior(none, pool) == pytest.approx(found.labelled)
