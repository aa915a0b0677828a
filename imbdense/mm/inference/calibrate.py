"""From saved outputs to a fitted calibration, for every method and both tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imbdense.core.inference import BoxCandidates, ImageDetections, LogitCalibration
from imbdense.core.inference.fit_detection import (
    DETECTION_OBJECTIVES,
    fit_detection_strength,
    fit_detection_temperature,
    fit_detection_thresholds,
)
from imbdense.core.inference.fit_segmentation import (
    Fitted,
    fit_segmentation_temperature,
    fit_strength,
    fit_thresholds,
)
from imbdense.core.inference.weighted_table import OBJECTIVES, table_score
from imbdense.core.stats import PriorLedger
from imbdense.data.outputs.store import OutputStore
from imbdense.mm.inference.calibration_file import CalibrationFile, record_correction
from imbdense.mm.inference.head_facts import HeadFacts, UnknownHeadError
from imbdense.mm.inference.methods import STRENGTH_METHODS, StrengthMethod, strength_method
from imbdense.mm.inference.pixel_records import logit, read_sample
from imbdense.mm.inference.run_prior import TrainedPrior

METHODS: tuple[str, ...] = (*STRENGTH_METHODS, 'threshold', 'temperature')
METRICS: tuple[str, ...] = ('bbox', 'segm')
CRITERIA: tuple[str, ...] = ('iou', 'f1', 'youden')


@dataclass(frozen=True)
class CalibrateOptions:
    """What the user asked for; ``None`` = the default of the task. See the flags of ``imbdense calibrate``."""

    method: str
    objective: str | None = None
    criterion: str | None = None
    values: Sequence[float] | None = None
    count: str | None = None
    center: bool = True
    folds: int = 5
    seed: int = 0
    score_thr: float | None = None
    max_per_img: int | None = None
    force: bool = False
    metric: str = 'bbox'


def fit_outputs(
    store: OutputStore,
    prior: TrainedPrior | None,
    config: Any,
    options: CalibrateOptions,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Fitted, StrengthMethod | None]:
    """Fit ``options.method`` on saved outputs.

    Args:
        prior: of the model; needed by the methods of :data:`STRENGTH_METHODS`.
        config: of the run; FRACAL reads its training annotations.

    Raises:
        DoubleCorrectionError: training corrected already what the method corrects.
        ValueError: the options do not fit the task, no ground truth, or too few images for the folds.
    """
    identity = store.manifest['identity']
    detection, head = identity['task'] == 'detection', identity['head']
    _check_metric(options, head)
    strength = None
    if options.method in STRENGTH_METHODS:
        if prior is None:
            raise ValueError(f'{options.method} needs the class prior of the training.')
        strength = strength_method(
            options.method, prior, config, detection=detection, use_sigmoid=bool(head.get('use_sigmoid')),
            values=options.values, count=options.count, center=options.center, force=options.force,
        )  # fmt: skip
        refuse_double(prior.ledger, strength, force=options.force)
    if detection:
        return _fit_detector(store, HeadFacts(**head), strength, options, progress), strength
    return _fit_segmentor(store, head, strength, options), strength


def refuse_double(ledger: PriorLedger, method: StrengthMethod, *, force: bool) -> None:
    """Raise ``DoubleCorrectionError`` when the method finds its work done; the ledger stays as it is."""
    calibration = method.make(method.full)
    shift = np.asarray(calibration.shift if calibration.product_shift is None else calibration.product_shift)
    assumed = None if method.assumed is None else np.asarray(method.assumed)
    PriorLedger.from_dict(ledger.to_dict()).apply(
        f'calibrate --method {calibration.method}', 'post_hoc', shift, assumed=assumed, force=force
    )


def _fit_segmentor(
    store: OutputStore, head: dict[str, Any], strength: StrengthMethod | None, options: CalibrateOptions
) -> Fitted:
    """The methods on a sample of pixels."""
    objective = _one_of('--objective', options.objective or 'mIoU', OBJECTIVES, 'segmentation')
    sample, tables = read_sample(store.records())
    shared: dict[str, Any] = {'folds': options.folds, 'seed': options.seed}
    images = len(tables)
    if strength is not None:
        return fit_strength(sample, images, strength.make, strength.values, objective=objective, **shared)
    if options.method == 'temperature':
        threshold = head.get('threshold')
        return fit_segmentation_temperature(
            sample, images, binary_shift=0.0 if threshold is None else logit(threshold), **shared
        )
    criterion = _one_of('--criterion', options.criterion or 'iou', CRITERIA, 'segmentation')
    return fit_thresholds(sample, images, criterion=criterion, objective=objective, **shared)


def _fit_detector(
    store: OutputStore,
    facts: HeadFacts,
    strength: StrengthMethod | None,
    options: CalibrateOptions,
    progress: Callable[[int, int], None] | None,
) -> Fitted:
    """The methods on the candidates of a detector."""
    from imbdense.core.inference import identity_calibration
    from imbdense.mm.inference.rescore import finish_all

    if facts.own_scores and options.method != 'threshold':
        raise UnknownHeadError(
            f'the loss of this head makes its scores in a way of its own, for which no shift or temperature is '
            f'defined; {options.method} cannot be fitted. Use --method threshold; `imbdense diagnose` works too.'
        )
    objective = _one_of('--objective', options.objective or 'mAP', tuple(DETECTION_OBJECTIVES), 'detection')
    candidates = read_candidates(store)
    objects = [one.objects for one in candidates]
    masks = options.metric == 'segm'
    cut = {name: value for name in ('score_thr', 'max_per_img') if (value := getattr(options, name)) is not None}
    shared: dict[str, Any] = {'folds': options.folds, 'seed': options.seed}
    if strength is not None:
        def finish(calibration: LogitCalibration) -> list[ImageDetections]:
            return finish_all(candidates, facts, calibration, masks=masks, **cut)

        return fit_detection_strength(
            finish, objects, facts.num_classes, strength.make, strength.values, objective=objective, progress=progress,
            **shared,
        )  # fmt: skip
    if options.method == 'temperature':
        return fit_detection_temperature(candidates, facts.num_classes, facts.use_sigmoid, **shared)
    _one_of('--criterion', options.criterion or 'f1', ('f1',), 'detection')
    plain = finish_all(candidates, facts, identity_calibration(facts.num_classes), masks=masks, **cut)
    return fit_detection_thresholds(plain, objects, facts.num_classes, **shared)


def _check_metric(options: CalibrateOptions, head: dict[str, Any]) -> None:
    """Raise ``ValueError`` where mask AP is asked of what has none."""
    if options.metric == 'bbox':
        return
    _one_of('--metric', options.metric, METRICS, 'calibrate')
    if not head.get('masks'):
        raise ValueError(
            '--metric segm needs a model whose masks follow from its boxes (Mask R-CNN, Cascade Mask R-CNN, PointRend) '
            'and annotations with a mask for every object; use --metric bbox.'
        )
    if options.method == 'temperature':
        raise ValueError('--metric segm: a temperature is fitted by likelihood, whatever the metric; leave it out.')


def read_candidates(store: OutputStore) -> list[BoxCandidates]:
    """The candidates of all images.

    Raises:
        ValueError: no image has an object that counts.
    """
    candidates = [BoxCandidates.from_arrays(record) for record in store.records()]
    if not any((~one.objects.ignored).any() for one in candidates):
        raise ValueError('there is no ground truth: no image holds an annotated object.')
    return candidates


def exact_score(store: OutputStore, objective: str) -> float | None:
    """The objective of the plain model over *all* pixels, to compare the drawn ones with; ``None`` for detection."""
    if objective not in OBJECTIVES:
        return None
    table = sum(record['table'].astype(np.float64) for record in store.records())
    return table_score(np.asarray(table), objective)


def calibration_file(
    store: OutputStore, prior: TrainedPrior | None, fitted: Fitted, strength: StrengthMethod | None, force: bool
) -> CalibrationFile:
    """What goes into ``calibration.json``.

    Raises:
        DoubleCorrectionError: thresholds move the prior of a model that leaves nothing to correct.
    """
    identity, calibration = store.manifest['identity'], fitted.calibration
    assumed = None if strength is None else strength.assumed
    before = None if prior is None else PriorLedger.from_dict(prior.ledger.to_dict())
    if before is not None:
        record_correction(PriorLedger.from_dict(before.to_dict()), calibration, assumed, force=force)
    gain = fitted.gain
    facts = {
        'recommended': gain.recommended,
        'held_out': {
            'objective': fitted.objective, 'plain': _numbers(gain.plain), 'fitted': _numbers(gain.fitted),
            'gain': _numbers([gain.mean, gain.std, *gain.interval]), 'parameters': list(gain.parameters),
        },
        'per_class': {'plain': _numbers(fitted.per_class[0]), 'fitted': _numbers(fitted.per_class[1])},
        'tried': [_numbers(pair) for pair in fitted.tried],
        'data': {'fingerprint': identity['data'], 'split': identity['split'], 'images': store.num_images},
        'checkpoint': {'file': Path(store.manifest['checkpoint_file']).name, 'sha256': identity['checkpoint']},
    }  # fmt: skip
    classes = tuple(store.manifest['classes'])
    return CalibrationFile(_plain(calibration), classes, identity['task'], before, assumed, facts)


def _plain(calibration: LogitCalibration) -> LogitCalibration:
    """The calibration with parameters that JSON can hold."""
    return LogitCalibration.from_dict(calibration.to_dict())


def _numbers(values: Any) -> list[float | None]:
    """Floats, NaN as ``None``."""
    return [None if np.isnan(value) else float(value) for value in np.asarray(values, dtype=np.float64).tolist()]


def _one_of(flag: str, value: str, choices: Sequence[str], task: str) -> str:
    """The value, if it is one of the choices of the task."""
    if value not in choices:
        raise ValueError(f'{flag} {value} is not for {task}; choose one of {", ".join(choices)}.')
    return value
