"""Fitting the calibration of a segmentor on a weighted sample of pixels, and testing it on held-out images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.inference.calibration import LogitCalibration, identity_calibration
from imbdense.core.inference.cross_validation import HeldOutGain, assign_folds, cross_validate
from imbdense.core.inference.iou_offsets import fit_iou_offsets
from imbdense.core.inference.per_class_threshold import one_vs_rest_thresholds
from imbdense.core.inference.pixel_sample import PixelSample
from imbdense.core.inference.tau_search import best_value
from imbdense.core.inference.temperature import fit_temperature, negative_log_likelihood
from imbdense.core.inference.weighted_table import table_iou, table_recall, table_score, weighted_confusion

Floats = NDArray[np.float64]
Maker = Callable[[float], LogitCalibration]


@dataclass(frozen=True)
class Fitted:
    """A fitted calibration and what it does on held-out images.

    Attributes:
        calibration: fitted on all images.
        gain: of the objective on held-out folds.
        objective: its name; higher is better.
        per_class: (plain, fitted) score of each class over the held-out folds, each (C,), NaN without ground truth.
        tried: (value, score on all images) of the strengths tried, empty for methods without.
    """

    calibration: LogitCalibration
    gain: HeldOutGain
    objective: str
    per_class: tuple[Floats, Floats]
    tried: tuple[tuple[float, float], ...] = ()


def decide(sample: PixelSample, calibration: LogitCalibration) -> NDArray[np.int64]:
    """(n,) the class of every pixel after calibration."""
    logits = np.asarray(sample.logits, dtype=np.float64) / calibration.temperature + np.asarray(calibration.shift)
    return np.asarray(logits.argmax(axis=1), dtype=np.int64)


def fold_tables(
    sample: PixelSample, calibration: LogitCalibration, fold: NDArray[np.int64], folds: int
) -> Floats:
    """(folds, C, C) weighted confusion tables; ``fold`` (images,)."""
    classes = sample.num_classes
    pred, own = decide(sample, calibration), fold[sample.image]
    return np.stack(
        [weighted_confusion(pred[own == k], sample.label[own == k], sample.weight[own == k], classes)
         for k in range(folds)]
    )  # fmt: skip


def fit_strength(
    sample: PixelSample,
    num_images: int,
    make: Maker,
    values: Sequence[float],
    *,
    objective: str = 'mIoU',
    folds: int = 5,
    seed: int = 0,
) -> Fitted:
    """Choose one strength (tau, lambda) among ``values`` by the objective of the argmax.

    Args:
        make: strength -> calibration; 0 must change nothing of the decision or be worth comparing with it.
    """
    fold = assign_folds(num_images, folds, seed)
    tables = [fold_tables(sample, make(value), fold, folds) for value in values]
    plain = fold_tables(sample, identity_calibration(sample.num_classes), fold, folds)

    def choose(chosen: Sequence[int]) -> int:
        scores = [table_score(table[list(chosen)].sum(axis=0), objective) for table in tables]
        return best_value(values, scores)

    def score(choice: int | None, chosen: Sequence[int]) -> float:
        table = plain if choice is None else tables[choice]
        return table_score(table[list(chosen)].sum(axis=0), objective)

    gain = cross_validate(folds, choose, score)
    held_out = np.sum([tables[choice][k] for k, choice in enumerate(gain.parameters)], axis=0)
    everything = list(range(folds))
    tried = tuple((float(value), score(index, everything)) for index, value in enumerate(values))
    named = HeldOutGain(gain.plain, gain.fitted, tuple(float(values[choice]) for choice in gain.parameters))
    return Fitted(
        make(values[choose(everything)]), named, objective, _per_class(plain.sum(axis=0), held_out, objective), tried
    )


def fit_thresholds(
    sample: PixelSample,
    num_images: int,
    *,
    criterion: str = 'iou',
    objective: str = 'mIoU',
    folds: int = 5,
    seed: int = 0,
) -> Fitted:
    """Fit one threshold t_c per class; the decision is argmax_c p_c / t_c, a shift of the logits by -log t_c.

    ``criterion``: 'f1' and 'youden' fit every class against the rest; 'iou' starts from there and climbs the objective
    of the argmax itself. With two classes (a binary mask) one threshold of the second class is fitted.

    Raises:
        ValueError: no labelled pixel in the folds that are fitted on.
    """
    fold = assign_folds(num_images, folds, seed)
    own = fold[sample.image]

    def fit(chosen: Sequence[int]) -> LogitCalibration:
        return threshold_calibration(sample.take(np.isin(own, list(chosen))), criterion, objective)

    def table_of(calibration: LogitCalibration | None, chosen: Sequence[int]) -> Floats:
        part = sample.take(np.isin(own, list(chosen)))
        pred = decide(part, calibration or identity_calibration(sample.num_classes))
        return weighted_confusion(pred, part.label, part.weight, sample.num_classes)

    gain = cross_validate(folds, fit, lambda found, chosen: table_score(table_of(found, chosen), objective))
    held_out = np.sum([table_of(found, [k]) for k, found in enumerate(gain.parameters)], axis=0)
    everything = list(range(folds))
    per_class = _per_class(table_of(None, everything), held_out, objective)
    named = HeldOutGain(gain.plain, gain.fitted, tuple(list(found.shift) for found in gain.parameters))
    return Fitted(fit(everything), named, objective, per_class)


def threshold_calibration(sample: PixelSample, criterion: str, objective: str) -> LogitCalibration:
    """Thresholds fitted on the whole sample; see :func:`fit_thresholds`."""
    if len(sample.label) == 0:
        raise ValueError('thresholds cannot be fitted: there is no labelled pixel.')
    logits = np.asarray(sample.logits, dtype=np.float64)
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs /= probs.sum(axis=1, keepdims=True)
    rule = 'f1' if criterion == 'iou' else criterion
    found, _ = one_vs_rest_thresholds(probs, sample.label, sample.weight, criterion=rule)
    if sample.num_classes == 2:
        found[0] = 1 - found[1]
    shift = -np.log(found)
    shift -= shift.mean()
    if criterion == 'iou':
        shift = fit_iou_offsets(logits, sample.label, sample.weight, start=shift, objective=objective)
        plain = fit_iou_offsets(logits, sample.label, sample.weight, objective=objective)
        shift = max((plain, shift), key=lambda b: _reached(sample, b, objective))
    thresholds = np.exp(-shift) / np.exp(-shift).sum()
    parameters = {'criterion': criterion, 'thresholds': thresholds.tolist()}
    return LogitCalibration('threshold', tuple(shift.tolist()), parameters=parameters)


def _reached(sample: PixelSample, shift: Floats, objective: str) -> float:
    """The objective with these offsets."""
    pred = decide(sample, LogitCalibration('threshold', tuple(shift.tolist())))
    return table_score(weighted_confusion(pred, sample.label, sample.weight, sample.num_classes), objective)


def fit_segmentation_temperature(
    sample: PixelSample, num_images: int, *, folds: int = 5, seed: int = 0, binary_shift: float = 0.0
) -> Fitted:
    """Fit T by the likelihood of all pixels; the objective is the mean log-likelihood, the labels stay as they are.

    Args:
        binary_shift: what was subtracted from the logit of a binary head when it was stored.
    """
    fold = assign_folds(num_images, folds, seed)
    own = fold[sample.image]
    logits = np.asarray(sample.logits, dtype=np.float64)
    if binary_shift:
        logits = logits + np.array([0.0, binary_shift])

    def fit(chosen: Sequence[int]) -> float:
        keep = np.isin(own, list(chosen))
        return fit_temperature(logits[keep], sample.label[keep], sample.weight[keep])

    def score(temperature: float | None, chosen: Sequence[int]) -> float:
        keep = np.isin(own, list(chosen))
        return -negative_log_likelihood(
            logits[keep], sample.label[keep], sample.weight[keep], temperature=temperature or 1.0
        )

    gain = cross_validate(folds, fit, score)
    temperature = fit(list(range(folds)))
    per_class = tuple(
        np.array([_class_likelihood(logits, sample, c, own, temperatures) for c in range(sample.num_classes)])
        for temperatures in ([1.0] * folds, list(gain.parameters))
    )
    calibration = LogitCalibration(
        'temperature', (0.0,) * sample.num_classes, temperature=temperature, parameters={'temperature': temperature}
    )
    return Fitted(calibration, gain, 'log-likelihood', (per_class[0], per_class[1]))


def _class_likelihood(
    logits: Floats, sample: PixelSample, index: int, own: NDArray[np.int64], temperatures: Sequence[float]
) -> float:
    """Mean log-likelihood of one class's pixels, each fold at its temperature; NaN for an absent class."""
    total, mass = 0.0, 0.0
    for k, temperature in enumerate(temperatures):
        keep = (own == k) & (sample.label == index)
        weight = float(sample.weight[keep].sum())
        if weight > 0:
            loss = negative_log_likelihood(
                logits[keep], sample.label[keep], sample.weight[keep], temperature=temperature
            )
            total, mass = total - weight * loss, mass + weight
    return total / mass if mass else float('nan')


def _per_class(plain: Floats, fitted: Floats, objective: str) -> tuple[Floats, Floats]:
    """The class values behind the objective."""
    values = table_iou if objective == 'mIoU' else table_recall
    return values(plain), values(fitted)
