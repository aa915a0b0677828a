"""MMD, domain classifier, class-conditional distance, image weights: references, edges, what they must (not) see."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imbdense.core.shift import (
    ClassVectors,
    LabelledGaussian,
    class_conditional_shift,
    classify_domains,
    ledoit_wolf,
    mean_discrepancy,
    prepare_pair,
)
from imbdense.core.shift.domain_classifier import auroc, fit_logistic
from imbdense.core.shift.mmd import WIDTHS
from tests.core.shift.samples import grouped, noise, side


def pair_of(a, b):
    return prepare_pair(a, np.arange(len(a)), b, np.arange(len(b)))


def test_mmd_is_the_double_sum():
    pair = pair_of(noise(30, 3, 0), noise(30, 3, 1) + 0.5)
    both = np.concatenate([pair.a, pair.b])
    distance = ((both[:, None] - both[None]) ** 2).sum(axis=2)
    scale = np.median(distance[np.triu_indices(60, 1)])
    found = mean_discrepancy(pair, permutations=9)
    for width, value in zip(WIDTHS, found.by_width):
        kernel = np.exp(-distance / (2 * width**2 * scale))
        inside = [(k.sum() - np.trace(k)) / (30 * 29) for k in (kernel[:30, :30], kernel[30:, 30:])]
        assert value == pytest.approx(sum(inside) - 2 * kernel[:30, 30:].mean())
    assert found.value == pytest.approx(sum(found.by_width))


def test_mmd_has_no_bias_where_images_differ():
    """Pixels of one image are alike; pairs inside an image would make equal sides look different."""
    values = []
    for seed in range(12):
        (a, ga), (b, gb) = grouped(30, 20, 4, seed), grouped(30, 20, 4, 40 + seed)
        values.append(mean_discrepancy(prepare_pair(a, ga, b, gb), permutations=1).value)
    assert abs(np.mean(values)) < 2.5 * np.std(values) / math.sqrt(12) and min(values) < 0 < max(values)
    assert math.isnan(mean_discrepancy(prepare_pair(noise(9, 2, 0), np.zeros(9), noise(9, 2, 1), np.zeros(9))).value)


def test_logistic_regression_is_the_minimum():
    x = np.concatenate([noise(200, 3, 0), np.ones((200, 1))], axis=1)
    y = (x[:, 0] + 0.5 * noise(200, 1, 1)[:, 0] > 0.2).astype(float)
    weight = fit_logistic(x, y)
    chance = 1 / (1 + np.exp(-x @ weight))
    gradient = x.T @ (chance - y) + np.array([1, 1, 1, 1e-9]) * weight
    assert np.abs(gradient).max() < 1e-4
    assert auroc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True])) == 0.875
    assert math.isnan(auroc(np.ones(3), np.ones(3, bool)))


def test_classifier_sees_means_and_spreads_and_nothing_else():
    a = noise(300, 6, 0)
    assert abs(classify_domains(pair_of(a, noise(300, 6, 1))).auroc - 0.5) < 0.08
    moved = classify_domains(pair_of(a, noise(300, 6, 2) + 0.7))
    assert moved.auroc > 0.8 and moved.scores_b.mean() > moved.scores_a.mean() and moved.groups_b.size == 300
    assert classify_domains(pair_of(a, noise(300, 6, 3) * 2)).auroc > 0.8, 'equal means, other spread'
    assert 'fewer than 5' in classify_domains(pair_of(noise(4, 2, 0), noise(60, 2, 1))).reason


def test_one_class_that_looks_different_is_named():
    labelled = side(60, 0, labelled=True, prior=(0.4, 0.3, 0.2, 0.1))
    pool = side(60, 1, labelled=False, prior=(0.4, 0.3, 0.2, 0.1), moved_class=1)
    found = class_conditional_shift(labelled.by_class, pool.by_class, 4, permutations=99)
    assert found[1].status == 'ok' and found[1].shift.p_value == 0.01
    assert found[1].shift.fd_inf > 4 * max(found[k].shift.fd_inf for k in (0, 2))


def test_equal_classes_are_not_found_different():
    labelled, pool = side(60, 2, labelled=True), side(60, 3, labelled=False)
    found = class_conditional_shift(labelled.by_class, pool.by_class, 4, permutations=99)
    assert all(one.shift.p_value > 0.05 for one in found if one.status == 'ok')


@pytest.mark.parametrize(('vectors', 'images'), [(99, 50), (400, 19)])
def test_scarce_classes_get_no_number(vectors, images):
    def make(seed: int) -> ClassVectors:
        label, group = np.zeros(vectors, int), np.arange(vectors) % images
        return ClassVectors(noise(vectors, 3, seed), label, group, np.ones(vectors))

    few = class_conditional_shift(make(0), make(1), 2, permutations=9)
    assert [one.status for one in few] == ['insufficient'] * 2
    assert all(math.isnan(value) for one in few for value in (one.shift.fd_inf, one.shift.p_value, one.shift.excess))


def test_ledoit_wolf_is_that_of_the_peer():
    peer = pytest.importorskip('sklearn.covariance')
    for vectors in (noise(30, 8, 0), noise(10, 40, 1), noise(200, 3, 2) * [1, 5, 0.1]):
        assert ledoit_wolf(vectors) == pytest.approx(peer.ledoit_wolf(vectors)[0], rel=1e-8, abs=1e-10)
    with pytest.raises(ValueError, match='two vectors'):
        ledoit_wolf(np.ones((1, 3)))


def test_weights_fall_with_the_distance_alone():
    gaussian = LabelledGaussian.fit(noise(200, 30, 0))
    like = gaussian.weights(noise(500, 30, 1))
    assert (like == 1).mean() > 0.9 and like.min() > 0
    far = noise(1, 30, 2) / np.linalg.norm(noise(1, 30, 2))
    z = gaussian.z_scores(np.concatenate([far * 8, far * 10, far * 20]))
    assert (np.diff(z) > 0).all() and gaussian.weights(far * 20) == pytest.approx(np.exp(-(z[2] - 2)))
    assert abs(gaussian.z_scores(noise(500, 30, 3)).mean()) < 0.3, 'left-out distances: the z-score of a new image is 0'
    with pytest.raises(ValueError, match='10 are needed'):
        LabelledGaussian.fit(noise(9, 3, 0))
