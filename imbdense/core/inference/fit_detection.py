"""Fitting the calibration of a detector on saved candidates, and testing it on held-out images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from imbdense.core.inference.box_matching import FALSE, TRUE, ClassMatches
from imbdense.core.inference.calibration import LogitCalibration, identity_calibration
from imbdense.core.inference.candidates import BoxCandidates, row_targets
from imbdense.core.inference.cross_validation import HeldOutGain, assign_folds, cross_validate
from imbdense.core.inference.detection_diagnosis import place_boxes
from imbdense.core.inference.detection_set import (
    ImageDetections,
    ImageObjects,
    class_average_precision,
    class_matches,
    mean_average_precision,
)
from imbdense.core.inference.fit_segmentation import Fitted, Maker
from imbdense.core.inference.per_class_threshold import best_threshold
from imbdense.core.inference.tau_search import best_value
from imbdense.core.inference.temperature import fit_temperature, negative_log_likelihood

Floats = NDArray[np.float64]
Finish = Callable[[LogitCalibration], Sequence[ImageDetections]]
DETECTION_OBJECTIVES: dict[str, int | None] = {'mAP': None, 'mAP_50': 0}
"""Name -> index of the IoU threshold (``None`` = mean of .50 : .95)."""
NEGATIVES_PER_IMAGE = 2000


def fit_detection_strength(
    finish: Finish,
    objects: Sequence[ImageObjects],
    num_classes: int,
    make: Maker,
    values: Sequence[float],
    *,
    objective: str = 'mAP',
    folds: int = 5,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Choose one strength (gamma, tau, lambda) among ``values`` by the mean AP of the finished detections.

    Args:
        finish: calibration -> finished detections of every image, by the cuts and suppression of the model.
        make: strength -> calibration.
    """
    level = DETECTION_OBJECTIVES[objective]
    fold = assign_folds(len(objects), folds, seed)
    tables = []
    for number, value in enumerate(values):
        tables.append(class_matches(finish(make(value)), objects, num_classes))
        if progress is not None:
            progress(number + 1, len(values))
    plain = class_matches(finish(identity_calibration(num_classes)), objects, num_classes)

    def images(chosen: Sequence[int]) -> NDArray[np.bool_]:
        return np.isin(fold, list(chosen))

    def choose(chosen: Sequence[int]) -> int:
        return best_value(values, [mean_average_precision(table, images(chosen), level=level) for table in tables])

    def score(choice: int | None, chosen: Sequence[int]) -> float:
        return mean_average_precision(plain if choice is None else tables[choice], images(chosen), level=level)

    gain = cross_validate(folds, choose, score)
    per_class = (
        _fold_mean([class_average_precision(plain, images([k]), level=level) for k in range(folds)]),
        _fold_mean(
            [class_average_precision(tables[c], images([k]), level=level) for k, c in enumerate(gain.parameters)]
        ),
    )
    everything = list(range(folds))
    tried = tuple((float(value), score(index, everything)) for index, value in enumerate(values))
    named = HeldOutGain(gain.plain, gain.fitted, tuple(float(values[choice]) for choice in gain.parameters))
    return Fitted(make(values[choose(everything)]), named, objective, per_class, tried)


def fit_detection_thresholds(
    detections: Sequence[ImageDetections],
    objects: Sequence[ImageObjects],
    num_classes: int,
    *,
    folds: int = 5,
    seed: int = 0,
) -> Fitted:
    """Fit the score of each class from which on its detections are kept, by F1 at IoU 0.5.

    What it is compared with is one threshold for all classes, fitted on the same images. A class without an object or
    without a detection in the images that are fitted on gets that common threshold. AP never gains by a threshold.

    Raises:
        ValueError: no object or no detection in a set of folds that is fitted on.
    """
    fold = assign_folds(len(objects), folds, seed)
    matches = class_matches(detections, objects, num_classes, thresholds=np.array([0.5]))

    def images(chosen: Sequence[int]) -> NDArray[np.bool_]:
        return np.isin(fold, list(chosen))

    def fit_common(chosen: Sequence[int]) -> Floats:
        return np.full(num_classes, _common_threshold(matches, images(chosen)))

    def fit(chosen: Sequence[int]) -> Floats:
        found = fit_common(chosen)
        for index, entry in enumerate(matches):
            scores, hit, missed = _judged(entry, images(chosen))
            if scores.size and hit.sum() + missed > 0:
                found[index] = max(best_threshold(scores, hit, criterion='f1', missed=missed).value, 0.0)
        return found

    def values(thresholds: Floats, chosen: Sequence[int]) -> Floats:
        return np.array([_f1(entry, images(chosen), t) for entry, t in zip(matches, thresholds)])

    def score(thresholds: Floats | None, chosen: Sequence[int]) -> float:
        found = values(np.zeros(num_classes) if thresholds is None else thresholds, chosen)
        found = found[~np.isnan(found)]
        return float(found.mean()) if found.size else float('nan')

    gain = cross_validate(folds, fit, score, fit_plain=fit_common)
    everything = list(range(folds))
    common = fit_common(everything)
    per_class = (
        _fold_mean([values(common, [k]) for k in range(folds)]),
        _fold_mean([values(found, [k]) for k, found in enumerate(gain.parameters)]),
    )
    thresholds = fit(everything)
    calibration = LogitCalibration(
        'threshold', (0.0,) * num_classes, thresholds=tuple(thresholds.tolist()),
        parameters={'criterion': 'f1', 'common_threshold': float(common[0])},
    )  # fmt: skip
    named = HeldOutGain(gain.plain, gain.fitted, tuple(found.tolist() for found in gain.parameters))
    return Fitted(calibration, named, 'F1', per_class)


def fit_detection_temperature(
    candidates: Sequence[BoxCandidates], num_classes: int, use_sigmoid: bool, *, folds: int = 5, seed: int = 0
) -> Fitted:
    """Fit T by the likelihood of the classes of all places; a place is the class of the object it covers (IoU >= 0.5).

    Of the places on background up to 2000 per image are drawn and weighted up. The order of the detections of a
    one-stage head does not change, that of a softmax hardly.
    """
    rng = np.random.default_rng(seed)
    rows = [labelled_rows(one, num_classes, rng) for one in candidates]
    logits, target, weight = (np.concatenate([row[part] for row in rows]) for part in range(3))
    fold = assign_folds(len(candidates), folds, seed)
    own = np.repeat(fold, [len(row[1]) for row in rows])

    def fit(chosen: Sequence[int]) -> float:
        keep = np.isin(own, list(chosen))
        return fit_temperature(logits[keep], target[keep], weight[keep], use_sigmoid=use_sigmoid)

    def loss(temperature: float, keep: NDArray[np.bool_]) -> float:
        return negative_log_likelihood(
            logits[keep], target[keep], weight[keep], temperature=temperature, use_sigmoid=use_sigmoid
        )

    gain = cross_validate(folds, fit, lambda found, chosen: -loss(found or 1.0, np.isin(own, list(chosen))))
    temperature = fit(list(range(folds)))
    per_class = (
        _fold_mean([_class_values(loss, own == k, target, 1.0, num_classes) for k in range(folds)]),
        _fold_mean([_class_values(loss, own == k, target, t, num_classes) for k, t in enumerate(gain.parameters)]),
    )
    calibration = LogitCalibration(
        'temperature', (0.0,) * num_classes, temperature=temperature, parameters={'temperature': temperature}
    )
    return Fitted(calibration, gain, 'log-likelihood', per_class)


def _class_values(
    loss: Callable[[float, NDArray[np.bool_]], float],
    images: NDArray[np.bool_],
    target: NDArray[np.int64],
    temperature: float,
    num_classes: int,
) -> Floats:
    """Log-likelihood of the places of each class, NaN without one."""
    return np.array([-loss(temperature, images & (target == index)) for index in range(num_classes)])


def labelled_rows(
    one: BoxCandidates, num_classes: int, rng: np.random.Generator
) -> tuple[NDArray[np.floating], NDArray[np.int64], Floats]:
    """(logits, target, weight) of the places of one image, C = background, of which at most 2000 are drawn and weighted
    up; places on ignored objects are left out."""
    target = row_targets(one, place_boxes(one.boxes, one.logits[:, :num_classes]), num_classes)
    objects, nothing = np.flatnonzero((target >= 0) & (target < num_classes)), np.flatnonzero(target == num_classes)
    amount = min(NEGATIVES_PER_IMAGE, nothing.size)
    drawn = np.sort(rng.choice(nothing, amount, replace=False)) if amount else nothing
    keep = np.concatenate([objects, drawn])
    weight = np.concatenate([np.ones(objects.size), np.full(amount, nothing.size / max(amount, 1))])
    return one.logits[keep], target[keep], weight


def _judged(entry: ClassMatches, images: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_], float]:
    """(scores, hit, objects without a detection) of one class on the chosen images, without the ignored ones."""
    keep = images[entry.image] & (entry.flags[0] != -1)
    hit = entry.flags[0][keep] == TRUE
    return entry.scores[keep], hit, float(entry.objects[images].sum() - hit.sum())


def _f1(entry: ClassMatches, images: NDArray[np.bool_], threshold: float) -> float:
    """F1 of the detections above a threshold; NaN without an object."""
    objects = int(entry.objects[images].sum())
    if objects == 0:
        return float('nan')
    keep = images[entry.image] & (entry.scores > threshold)
    hits = int((entry.flags[0][keep] == TRUE).sum())
    alarms = int((entry.flags[0][keep] == FALSE).sum())
    return 2 * hits / (hits + alarms + objects)


def _common_threshold(matches: Sequence[ClassMatches], images: NDArray[np.bool_]) -> float:
    """The one threshold, of 99 quantiles of all scores, with the best mean F1 over classes."""
    scores = np.concatenate([entry.scores[images[entry.image]] for entry in matches])
    if scores.size == 0 or not sum(int(entry.objects[images].sum()) for entry in matches):
        raise ValueError('thresholds cannot be fitted: there is no object or no detection in the images.')
    cuts = np.unique(np.quantile(scores, np.linspace(0, 0.99, 100)))
    quality = [np.nanmean([_f1(entry, images, cut) for entry in matches]) for cut in cuts]
    return float(cuts[int(np.argmax(quality))])


def _fold_mean(rows: Sequence[Floats]) -> Floats:
    """Mean over folds of the values that are defined, NaN where none is."""
    table = np.stack(rows)
    count = (~np.isnan(table)).sum(axis=0)
    return np.where(count > 0, np.nansum(table, axis=0) / np.maximum(count, 1), np.nan)
