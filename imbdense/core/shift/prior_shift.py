"""The class prior of an unlabelled pool: black-box shift estimation and expectation maximisation, with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from imbdense.core.shift.em_prior import em_priors, fit_bias_temperature, probabilities
from imbdense.core.shift.moments import Floats, group_index
from imbdense.core.shift.outputs import ClassOutputs

HEAVY = 1e3
DISAGREE = 2.0
LEAST_SEPARATION = 0.1
LEAST_PLACES, LEAST_IMAGES = 50, 5
POOL_DRAWS = 10
MAX_REDRAWN, REDRAWN_TOLERANCE = 50_000, 1e-4


@dataclass(frozen=True)
class PriorShift:
    """Class shares of the pool; every array (K,), NaN where a class is not in the labelled sample.

    Attributes:
        labelled: shares of the labelled sample. em: estimated shares of the pool. low, high: 95 % interval of ``em``.
        bbse: the cross-check.
        status: per class 'ok', 'insufficient' (fewer than 50 labelled places or 5 images), 'absent' (none), or 'not
            identifiable'.
        total_variation: half the sum of |em - labelled|. tv_low, tv_high: its interval.
        max_ratio: largest of w and 1 / w over the classes that are 'ok', w = em / labelled.
    """

    labelled: Floats
    em: Floats
    low: Floats
    high: Floats
    bbse: Floats
    status: tuple[str, ...]
    total_variation: float
    tv_low: float
    tv_high: float
    max_ratio: float

    @property
    def identifiable(self) -> bool:
        """Whether no class is 'not identifiable'."""
        return 'not identifiable' not in self.status

    @property
    def ratio(self) -> Floats:
        """(K,) w = pool share / labelled share."""
        with np.errstate(invalid='ignore', divide='ignore'):
            return np.where(self.labelled > 0, self.em / self.labelled, np.nan)


def estimate_prior_shift(
    labelled: ClassOutputs, unlabelled: ClassOutputs, *, bootstraps: int = 200, seed: int = 0
) -> PriorShift:
    """Estimate the class shares of the pool from a model's outputs on both sides.

    The estimate is :func:`~imbdense.core.shift.em_prior.em_priors` on calibrated probabilities; the cross-check is
    :func:`bbse_prior`. A class is 'not identifiable' where the two differ by more than a factor of 2, or where its
    predictions could be a mixture of those of other classes (a constant model): then no method can tell its share.
    Both assume that a class looks the same on both sides, only its share differs.

    Args:
        labelled: outputs on labelled images that the model was *not* trained on.
        unlabelled: outputs on the pool.
        bootstraps: drawn sets of pool images for the 95 % interval, ten for each of the drawn sets of labelled images
            on which prior and calibration are fitted anew. 0 = no interval (NaN).

    Raises:
        ValueError: different numbers of classes, or an empty side.
    """
    _check(labelled, unlabelled)
    known = labelled.label >= 0
    prior = _shares(labelled.label[known], labelled.weight[known], labelled.num_classes)
    temperature, bias = fit_bias_temperature(labelled.logits[known], labelled.label[known], labelled.weight[known])
    chances = probabilities(unlabelled.logits, temperature, bias)
    em = em_priors(chances, prior, unlabelled.weight[:, None])[0]
    confusion = confusion_shares(labelled)
    predicted = _shares(unlabelled.predicted, unlabelled.weight, labelled.num_classes)
    images = group_index(labelled.group)[1] + group_index(unlabelled.group)[1]
    bbse = bbse_prior(confusion, predicted, 1.0 / images)
    drawn: Floats = np.full((1, len(prior)), np.nan)
    if bootstraps > 0:
        drawn = _redrawn(labelled, unlabelled, em, bootstraps, np.random.default_rng(seed))
    low, high = np.quantile(drawn, 0.025, axis=0), np.quantile(drawn, 0.975, axis=0)
    status = _status(labelled, confusion, em, bbse)
    variation = 0.5 * np.abs(drawn - prior).sum(axis=1)
    found = PriorShift(
        prior, em, low, high, bbse, status, float(0.5 * np.abs(em - prior).sum()),
        float(np.quantile(variation, 0.025)), float(np.quantile(variation, 0.975)),
        _max_ratio(em, prior, status),
    )  # fmt: skip
    return _absent_to_nan(found)


def _redrawn(
    labelled: ClassOutputs, unlabelled: ClassOutputs, em: Floats, bootstraps: int, rng: np.random.Generator
) -> Floats:
    """(B, K) estimates on drawn images of both sides; of more than 50 000 pool places as many are drawn."""
    keep = np.sort(rng.permutation(len(unlabelled.weight))[:MAX_REDRAWN])
    pool_logits, pool_weight = unlabelled.logits[keep], unlabelled.weight[keep]
    known = labelled.label >= 0
    logits, label = labelled.logits[known], labelled.label[known]
    (index_l, images_l), (index_u, images_u) = group_index(labelled.group[known]), group_index(unlabelled.group[keep])
    found = []
    for number in range(0, bootstraps, POOL_DRAWS):
        times = rng.multinomial(images_l, np.full(images_l, 1.0 / images_l))
        weight = labelled.weight[known] * times[index_l]
        here = weight > 0
        prior = _shares(label[here], weight[here], labelled.num_classes)
        chances = probabilities(pool_logits, *fit_bias_temperature(logits[here], label[here], weight[here]))
        draws = rng.multinomial(
            images_u, np.full(images_u, 1.0 / images_u), size=min(POOL_DRAWS, bootstraps - number)
        )
        weights = pool_weight[:, None] * draws[:, index_u].T
        found.append(em_priors(chances, prior, weights, em, REDRAWN_TOLERANCE))
    return np.concatenate(found)


def confusion_shares(labelled: ClassOutputs) -> Floats:
    """(K, K) share of the labelled places with prediction i and truth j."""
    known = labelled.label >= 0
    classes = labelled.num_classes
    flat = labelled.predicted[known] * classes + labelled.label[known]
    table = np.bincount(flat, labelled.weight[known], minlength=classes**2).reshape(classes, classes)
    return table / table.sum()


def bbse_prior(confusion: Floats, predicted: Floats, ridge: float) -> Floats:
    """Solve for the class shares whose confused form is the predicted one, (K,).

    ::

        w = argmin_{w >= 0}  sum_i (C w - m)_i² / m_i  +  ridge * sum_j p_j (w_j - 1)²,    sum_j p_j w_j = 1
        pi_j = p_j w_j

    C_ij = P(prediction i, truth j) on labelled data, m_i = P(prediction i) on the pool, p = column sums of C. Both
    sums are relative to the size of the class. (With equal weights for all rows and classes the pull towards w = 1 is
    of the size of the ridge over p_j² and decides alone about rare classes.) Non-negative least squares with the
    equality as a heavy row.

    Args:
        confusion: (K, K) summing to 1. predicted: (K,) summing to 1. ridge: >= 0, for example 1 / images.

    Source: Lipton et al., ICML 2018 (estimator); Azizzadenesheli et al., ICLR 2019 (regularised).
    """
    prior = confusion.sum(axis=0)
    present = prior > 0
    row = 1.0 / np.sqrt(np.maximum(np.maximum(predicted, confusion.sum(axis=1)), 1e-9))
    shrink = np.sqrt(ridge * prior[present])
    # Unknowns are shares pi = p w: their columns are conditional probabilities and of one size.
    columns = confusion[:, present] / prior[present]
    design = np.concatenate([
        row[:, None] * columns, np.diag(shrink / prior[present]), np.full((1, int(present.sum())), HEAVY)
    ])
    aim = np.concatenate([row * predicted, shrink, [HEAVY]])
    shares = np.zeros(len(prior))
    shares[present] = nnls(design, aim)[0]
    return shares / shares.sum()


def class_separation(confusion: Floats) -> Floats:
    """(K,) how far the predictions of each class are from the nearest mixture of those of the other classes.

    Total variation in [0, 1]: 0 = what the class makes the model say, other classes could make it say as well (a
    constant model); 1 = predictions nothing else causes. NaN for an absent class; 1 for a single one.
    """
    prior = confusion.sum(axis=0)
    present = np.flatnonzero(prior > 0)
    found = np.full(len(prior), np.nan)
    columns = confusion[:, present] / prior[present]
    for place, klass in enumerate(present):
        others = np.delete(columns, place, axis=1)
        if others.shape[1] == 0:
            found[klass] = 1.0
            continue
        design = np.concatenate([others, np.full((1, others.shape[1]), HEAVY)])
        mixture = nnls(design, np.append(columns[:, place], HEAVY))[0]
        found[klass] = 0.5 * np.abs(columns[:, place] - others @ mixture).sum()
    return found


def _status(labelled: ClassOutputs, confusion: Floats, em: Floats, bbse: Floats) -> tuple[str, ...]:
    """What can be said about each class."""
    separation = class_separation(confusion)
    found = []
    for klass in range(labelled.num_classes):
        mine = labelled.label == klass
        if not mine.any():
            found.append('absent')
        elif mine.sum() < LEAST_PLACES or np.unique(labelled.group[mine]).size < LEAST_IMAGES:
            found.append('insufficient')
        elif separation[klass] < LEAST_SEPARATION or _differ(em[klass], bbse[klass], confusion[:, klass].sum()):
            found.append('not identifiable')
        else:
            found.append('ok')
    return tuple(found)


def _differ(one: float, two: float, prior: float) -> bool:
    """Whether two shares differ by more than the factor; shares far below anything that matters are equal."""
    floor = 1e-2 * min(prior, 1e-2)
    one, two = max(one, floor), max(two, floor)
    return max(one / two, two / one) > DISAGREE


def _max_ratio(em: Floats, prior: Floats, status: tuple[str, ...]) -> float:
    """Largest change of a class that is 'ok'; NaN without one."""
    ratios = [max(e, 1e-12) / p for e, p, s in zip(em, prior, status) if s == 'ok']
    return max((max(w, 1.0 / w) for w in ratios), default=math.nan)


def _shares(index: NDArray[np.integer], weight: Floats, classes: int) -> Floats:
    """(K,) weighted shares."""
    total = np.bincount(index, weight, minlength=classes)
    return total / total.sum()


def _absent_to_nan(found: PriorShift) -> PriorShift:
    """NaN for classes nothing is known of."""
    absent = np.array([status == 'absent' for status in found.status])
    for values in (found.em, found.low, found.high, found.bbse):
        values[absent] = np.nan
    return found


def _check(labelled: ClassOutputs, unlabelled: ClassOutputs) -> None:
    """Raise unless both sides can be compared."""
    if labelled.num_classes != unlabelled.num_classes:
        raise ValueError(
            f'the labelled outputs have {labelled.num_classes} classes, the unlabelled ones {unlabelled.num_classes}.'
        )
    if not (labelled.label >= 0).any() or len(unlabelled.label) == 0:
        raise ValueError('the prior estimate needs labelled places on one side and any on the other.')
