"""Everything about one pool in one object: distances, priors, classes, verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imbdense.core.shift.class_conditional import ClassShift, ClassVectors, class_conditional_shift
from imbdense.core.shift.domain_classifier import DomainClassifier, classify_domains
from imbdense.core.shift.forecast import Forecast, forecast_gain
from imbdense.core.shift.frechet import FrechetShift, frechet_shift
from imbdense.core.shift.mmd import MeanDiscrepancy, mean_discrepancy
from imbdense.core.shift.moments import Floats, Indices
from imbdense.core.shift.outputs import ClassOutputs
from imbdense.core.shift.pair import prepare_pair
from imbdense.core.shift.prior_shift import PriorShift, estimate_prior_shift

LEVEL = 0.05
ADVICE = (
    'This is a prediction, not a verdict: a distance between features follows the result of semi-supervised training '
    'only on average. Train a supervised baseline and a semi-supervised run, several seeds each, and compare.'
)


@dataclass(frozen=True)
class PoolSample:
    """What was collected of one side.

    Attributes:
        vectors: (n, d) features drawn uniformly. group: (n,) image of each.
        by_class: features drawn per class the model is sure of (p >= 0.8). truth: features drawn per true class
            (labelled side). outputs: model outputs for the prior. Each may be ``None``: what needs it is left out.
    """

    vectors: Floats
    group: Indices
    by_class: ClassVectors | None = None
    truth: ClassVectors | None = None
    outputs: ClassOutputs | None = None


@dataclass(frozen=True)
class ShiftReport:
    """Labelled images against a pool.

    Attributes:
        classes: names. images: (labelled, unlabelled). features: Fréchet distance over all features. mmd, domain: the
            two other views. prior: class shares; ``None`` without outputs; of a
            detector with one more entry, its boxes on nothing. by_class: per class; empty without them.
        forecast: predicted gain of semi-supervised training; ``None`` when it was not asked for.
    """

    classes: tuple[str, ...]
    images: tuple[int, int]
    features: FrechetShift
    mmd: MeanDiscrepancy
    domain: DomainClassifier
    prior: PriorShift | None = None
    by_class: tuple[ClassShift, ...] = ()
    forecast: Forecast | None = None

    @property
    def verdict(self) -> str:
        """'shift', 'no shift found', 'unclear' or 'unknown'.

        'shift': p < .05 and distance, MMD² and classifier agree in sign (> 0, > 0, > .5). 'unclear': p < .05 and they
        do not agree. 'unknown': one of them is NaN.
        """
        numbers = (self.features.fd_inf, self.features.p_value, self.mmd.value, self.domain.auroc)
        if any(math.isnan(number) for number in numbers):
            return 'unknown'
        if self.features.p_value >= LEVEL:
            return 'no shift found'
        agree = self.features.fd_inf > 0 and self.mmd.value > 0 and self.domain.auroc > 0.5
        return 'shift' if agree else 'unclear'

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; NaN becomes ``None``."""
        return _plain({**vars(self), 'verdict': self.verdict, 'advice': ADVICE})


def measure_shift(
    labelled: PoolSample,
    unlabelled: PoolSample,
    classes: Sequence[str],
    *,
    permutations: int = 199,
    bootstraps: int = 200,
    forecast: bool = True,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ShiftReport:
    """Measure everything that the samples allow; see :class:`ShiftReport`.

    Deterministic in the arguments.

    Args:
        classes: names in label order. permutations, bootstraps: see the parts. forecast: also predict the gain.
        progress: called with (steps done, steps).
    """
    done = 0
    steps = 5

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, steps)

    pair = prepare_pair(labelled.vectors, labelled.group, unlabelled.vectors, unlabelled.group, seed=seed)
    features = frechet_shift(pair, permutations=permutations, seed=seed)
    tick()
    mmd = mean_discrepancy(pair, permutations=permutations, seed=seed)
    domain = classify_domains(pair, seed=seed)
    tick()
    prior = None
    if labelled.outputs is not None and unlabelled.outputs is not None:
        prior = estimate_prior_shift(labelled.outputs, unlabelled.outputs, bootstraps=bootstraps, seed=seed)
    tick()
    by_class: list[ClassShift] = []
    if labelled.by_class is not None and unlabelled.by_class is not None:
        by_class = class_conditional_shift(
            labelled.by_class, unlabelled.by_class, len(classes), permutations=permutations, seed=seed
        )
    tick()
    predicted = None
    if forecast and labelled.truth is not None:
        ratio = None if prior is None else prior.ratio[: len(classes)]
        predicted = forecast_gain(
            labelled.truth, unlabelled.vectors, unlabelled.group, len(classes), pool_ratio=ratio, seed=seed
        )
    tick()
    images = (np.unique(labelled.group).size, np.unique(unlabelled.group).size)
    return ShiftReport(tuple(classes), images, features, mmd, domain, prior, tuple(by_class), predicted)


def _plain(value: Any) -> Any:
    """Dataclasses, arrays and NaN as JSON values."""
    if hasattr(value, '__dataclass_fields__'):
        record = {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
        record |= {name: _plain(getattr(value, name)) for name in ('excess', 'ratio') if hasattr(value, name)}
        return record
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
