"""Fitting on pixels: a spoiled prior is repaired on held-out images, noise is refused, nothing leaks between folds."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.inference import LogitCalibration, PixelSample, assign_folds, logit_adjust_shift
from imbdense.core.inference.fit_segmentation import (
    fit_segmentation_temperature,
    fit_strength,
    fit_thresholds,
    threshold_calibration,
)

IMAGES, PER_IMAGE = 20, 400
PRIOR = np.array([0.9, 0.08, 0.02])


def sample(strength: float = 1.0, seed: int = 0, signal: float = 2.0) -> PixelSample:
    """Gaussian classes; the logits are the log posterior with the prior to the power ``strength``."""
    rng = np.random.default_rng(seed)
    label = rng.choice(3, IMAGES * PER_IMAGE, p=PRIOR)
    x = rng.normal(size=(label.size, 3))
    x[np.arange(label.size), label] += signal
    logits = signal * x + strength * np.log(PRIOR)
    image = np.repeat(np.arange(IMAGES), PER_IMAGE)
    ones = np.ones(label.size)
    return PixelSample(logits, label, ones, image, np.full(label.size, 99), np.full(label.size, 99))


def adjust(tau: float) -> LogitCalibration:
    return LogitCalibration('logit-adjust', tuple(logit_adjust_shift(PRIOR, tau)), parameters={'tau': tau})


VALUES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)


def test_logit_adjustment_finds_tau_one_for_the_balanced_error() -> None:
    fitted = fit_strength(sample(), IMAGES, adjust, VALUES, objective='mRecall')
    assert fitted.calibration.parameters['tau'] == pytest.approx(1.0, abs=0.26)
    assert fitted.gain.recommended and fitted.gain.mean > 0.05
    plain, now = fitted.per_class
    assert now[2] > plain[2] + 0.2
    assert dict(fitted.tried)[0.0] == pytest.approx(plain.mean(), abs=1e-9)


def test_a_balanced_model_is_left_alone() -> None:
    fitted = fit_strength(sample(strength=0.0), IMAGES, adjust, VALUES, objective='mRecall')
    assert fitted.calibration.parameters['tau'] == pytest.approx(0.0, abs=0.26)
    assert abs(fitted.gain.mean) < 0.02


def test_held_out_labels_do_not_reach_the_fit() -> None:
    """Turning the labels of one fold round changes nothing of what is fitted for that fold."""
    given, fold = sample(), assign_folds(IMAGES, 5)
    turned = given.label.copy()
    turned[fold[given.image] == 2] = (turned[fold[given.image] == 2] + 1) % 3
    other = PixelSample(given.logits, turned, given.weight, given.image, given.size, given.border)
    before, after = (fit_strength(s, IMAGES, adjust, VALUES, objective='mRecall').gain for s in (given, other))
    assert before.parameters[2] == after.parameters[2]
    assert before.fitted[2] != after.fitted[2]
    first, second = (fit_thresholds(s, IMAGES, criterion='f1').gain.parameters[2] for s in (given, other))
    assert first == second
    warm, cold = (fit_segmentation_temperature(s, IMAGES).gain.parameters[2] for s in (given, other))
    assert warm == cold


@pytest.mark.parametrize('criterion', ['iou', 'f1', 'youden'])
def test_thresholds_repair_a_class_shifted_by_minus_four(criterion: str) -> None:
    given = sample(strength=1.0)
    spoiled = PixelSample(given.logits + np.array([0, 0, -4.0]), *(getattr(given, name) for name in (
        'label', 'weight', 'image', 'size', 'border')))  # fmt: skip
    objective = 'mRecall' if criterion == 'youden' else 'mIoU'
    fitted = fit_thresholds(spoiled, IMAGES, criterion=criterion, objective=objective)
    assert fitted.gain.recommended and fitted.per_class[1][2] > fitted.per_class[0][2] + 0.1
    assert sum(fitted.calibration.parameters['thresholds']) == pytest.approx(1.0)


def test_two_classes_have_one_threshold() -> None:
    rng = np.random.default_rng(0)
    label = (rng.random(3000) < 0.1).astype(np.int64)
    z = np.where(label == 1, 1.5, -1.5) + rng.normal(size=3000) - 2.0
    logits = np.column_stack([np.zeros(3000), z])
    empty = np.zeros(3000, dtype=np.int64)
    shift = threshold_calibration(PixelSample(logits, label, np.ones(3000), empty, empty, empty), 'f1', 'mIoU').shift
    cut = shift[0] - shift[1]  # z > cut is class 1
    decided = z > cut
    f1 = 2 * (decided & (label == 1)).sum() / (decided.sum() + label.sum())
    best = max(2 * ((z > c) & (label == 1)).sum() / ((z > c).sum() + label.sum()) for c in np.linspace(-6, 2, 400))
    assert f1 >= best - 1e-3


def test_temperature_recovers_a_factor() -> None:
    given = sample()
    hot = PixelSample(given.logits * 3, given.label, given.weight, given.image, given.size, given.border)
    fitted = fit_segmentation_temperature(hot, IMAGES)
    assert fitted.calibration.temperature == pytest.approx(3.0, rel=0.1) and fitted.gain.recommended
    binary = PixelSample(
        np.column_stack([np.zeros(len(hot.label)), hot.logits[:, 1] - 0.7]), (hot.label == 1).astype(np.int64),
        hot.weight, hot.image, hot.size, hot.border,
    )  # fmt: skip
    plain = fit_segmentation_temperature(binary, IMAGES).calibration.temperature
    assert fit_segmentation_temperature(binary, IMAGES, binary_shift=0.7).calibration.temperature != plain


def test_too_few_images_for_the_folds() -> None:
    with pytest.raises(ValueError, match='5 folds need at least 5 images'):
        fit_strength(sample(), 3, adjust, VALUES)
