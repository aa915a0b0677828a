"""Fitting on detections: strength by AP, thresholds against one common threshold, temperature of places."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.inference import BoxCandidates, ImageDetections, ImageObjects, LogitCalibration
from imbdense.core.inference.fit_detection import (
    fit_detection_strength,
    fit_detection_temperature,
    fit_detection_thresholds,
)

IMAGES = 20


def scene(seed: int = 0) -> tuple[list[ImageObjects], list[BoxCandidates]]:
    """Places on a row; one in four holds an object of class 0, one in twelve of class 1. Class 1 logits are low."""
    rng = np.random.default_rng(seed)
    objects, candidates = [], []
    for number in range(IMAGES):
        left = np.arange(24) * 20.0
        boxes = np.column_stack([left, np.zeros(24), left + 10, np.full(24, 10.0)]).astype(np.float32)
        target = rng.choice(3, 24, p=[0.25, 0.08, 0.67])
        logits = rng.normal(size=(24, 3)) * 1.2
        logits[np.arange(24), target] += 3.0
        logits[:, 1] -= 4.0
        real = target < 2
        truth = ImageObjects(boxes[real], target[real].astype(np.int64), np.zeros(int(real.sum()), dtype=bool))
        objects.append(truth)
        candidates.append(BoxCandidates(
            boxes, logits.astype(np.float32), np.ones(24, np.float32), np.zeros(24, np.int16), boxes[:0], truth,
            str(number),
        ))  # fmt: skip
    return objects, candidates


def finish(candidates: list[BoxCandidates], calibration: LogitCalibration, cap: int = 6) -> list[ImageDetections]:
    """Softmax, the best class of each place, few detections per image: a cap that costs the shifted class."""
    found = []
    for one in candidates:
        logits = one.logits / calibration.temperature + np.append(calibration.shift, 0.0)
        probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        label, score = probs[:, :2].argmax(axis=1), probs[:, :2].max(axis=1)
        order = np.argsort(-score, kind='stable')[:cap]
        found.append(ImageDetections(one.boxes[order], label[order], score[order]))
    return found


def test_strength_wins_held_out_and_is_chosen_by_the_training_folds() -> None:
    objects, candidates = scene()

    def make(value: float) -> LogitCalibration:
        return LogitCalibration('x', (0.0, value), parameters={'value': value})

    fitted = fit_detection_strength(
        lambda calibration: finish(candidates, calibration), objects, 2, make, (0.0, 2.0, 4.0, 8.0), objective='mAP_50'
    )
    assert fitted.gain.recommended and fitted.calibration.parameters['value'] in (2.0, 4.0)
    assert fitted.per_class[1][1] > fitted.per_class[0][1] + 0.2
    assert [value for value, _ in fitted.tried] == [0.0, 2.0, 4.0, 8.0]


def test_thresholds_differ_where_the_scores_of_classes_do() -> None:
    objects, candidates = scene()
    plain = finish(candidates, LogitCalibration('x', (0.0, 3.0)), cap=24)
    lowered = [
        ImageDetections(one.boxes, one.labels, np.where(one.labels == 1, one.scores * 0.2, one.scores)) for one in plain
    ]
    fitted = fit_detection_thresholds(lowered, objects, 2)
    thresholds = fitted.calibration.thresholds
    assert thresholds is not None and thresholds[1] < 0.25 < thresholds[0]
    assert fitted.gain.mean > 0.05 and fitted.objective == 'F1'
    assert not any(fitted.calibration.shift)


def test_a_class_without_objects_takes_the_common_threshold() -> None:
    objects, candidates = scene()
    fitted = fit_detection_thresholds(finish(candidates, LogitCalibration('x', (0.0, 0.0))), objects, 3)
    thresholds = fitted.calibration.thresholds
    assert thresholds is not None and thresholds[2] == fitted.calibration.parameters['common_threshold']
    assert np.isnan(fitted.per_class[0][2])


def test_no_object_or_detection_is_an_error() -> None:
    objects, _ = scene()
    nothing = [ImageDetections(np.zeros((0, 4)), np.zeros(0, dtype=np.int64), np.zeros(0)) for _ in objects]
    with pytest.raises(ValueError, match='no object or no detection'):
        fit_detection_thresholds(nothing, objects, 2)


def test_temperature() -> None:
    _, candidates = scene()
    hot = [
        BoxCandidates(c.boxes, c.logits * 4, c.factor, c.level, c.proposals, c.objects, c.image_id) for c in candidates
    ]
    base = fit_detection_temperature(candidates, 2, False).calibration.temperature
    fitted = fit_detection_temperature(hot, 2, False)
    assert fitted.calibration.temperature == pytest.approx(4 * base, rel=0.02)
    assert fitted.gain.recommended
