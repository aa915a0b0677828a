"""The methods of ``imbdense calibrate`` that have one strength: how it becomes a calibration, and which are tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imbdense.core.inference import (
    GAMMA_VALUES,
    LAMBDA_VALUES,
    TAU_VALUES,
    LogitCalibration,
    box_counting_dimension,
    fracal,
    logit_adjust_shift,
    norcal_shift,
)
from imbdense.core.stats import PriorLedger
from imbdense.mm.inference.run_prior import TrainedPrior, object_centres

STRENGTH_METHODS: tuple[str, ...] = ('norcal', 'logit-adjust', 'fracal')


@dataclass(frozen=True)
class StrengthMethod:
    """A method with one strength.

    Attributes:
        parameter: its name (gamma, tau, lam). values: what is tried. make: strength -> calibration.
        full: the strength at which a double correction is looked for.
        assumed: (C,) distribution it believes to correct; ``None`` = it takes what the ledger leaves.
    """

    parameter: str
    values: tuple[float, ...]
    make: Callable[[float], LogitCalibration]
    full: float
    assumed: tuple[float, ...] | None = None


def strength_method(
    method: str,
    prior: TrainedPrior,
    config: Any,
    *,
    detection: bool,
    use_sigmoid: bool,
    values: Sequence[float] | None = None,
    count: str | None = None,
    center: bool = True,
    force: bool = False,
) -> StrengthMethod:
    """Build the method from what training left.

    Args:
        prior: of the model. NorCal and logit adjustment take the counts as sampler, transforms and loss left them,
            so that only the residual is corrected; with ``force`` those of the labels.
        values: strengths to try instead of the usual ones.
        count: unit of the counts of NorCal; ``None`` = images if counted, as in the paper.
        center: keep the decision between object and background where it is on average (detection).

    Raises:
        ValueError: NorCal for a segmentor (it has no background channel to keep apart).
    """
    if method == 'norcal':
        if not detection:
            raise ValueError('norcal is for detectors; a segmentor has no background. Use --method logit-adjust.')
        unit = count or ('images' if prior.counts.images is not None else None)
        counts = prior.effective_counts(unit, force=force)

        def make_norcal(gamma: float) -> LogitCalibration:
            parameters = {'gamma': gamma, 'counts': counts.tolist(), 'center': center}
            return LogitCalibration('norcal', tuple(norcal_shift(counts, gamma, center=center)), parameters=parameters)

        return StrengthMethod('gamma', tuple(values or GAMMA_VALUES), make_norcal, 1.0)
    if method == 'logit-adjust':
        pi = np.asarray(prior.ledger.entries[0].prior) if force else prior.ledger.prior

        def make_adjusted(tau: float) -> LogitCalibration:
            shift = logit_adjust_shift(pi, tau, center=detection and center)
            return LogitCalibration('logit-adjust', tuple(shift), parameters={'tau': tau, 'prior': pi.tolist()})

        return StrengthMethod('tau', tuple(values or TAU_VALUES), make_adjusted, 1.0)
    if method == 'fracal':
        return _fracal(prior, config, use_sigmoid, values)
    raise ValueError(f'{method} has no strength; the methods that have one are {list(STRENGTH_METHODS)}.')


def _fracal(
    prior: TrainedPrior, config: Any, use_sigmoid: bool, values: Sequence[float] | None
) -> StrengthMethod:
    """FRACAL from the training annotations of the config."""
    classes = len(prior.counts.classes)
    centres, images, total = object_centres(config, classes)
    dimensions = [box_counting_dimension(points) for points in centres]

    def make(lam: float) -> LogitCalibration:
        return fracal(images, total, dimensions, lam=lam, use_sigmoid=use_sigmoid)

    labels: PriorLedger = prior.ledger
    return StrengthMethod('lam', tuple(values or LAMBDA_VALUES), make, 2.0, labels.entries[0].prior)
