"""What would semi-supervised training gain, per class? A prediction from planted shifts on the labelled data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imbdense.core.shift.class_conditional import LEAST_IMAGES, LEAST_VECTORS, ClassVectors
from imbdense.core.shift.moments import Floats, Indices, group_index
from imbdense.core.shift.pair import principal_axes
from imbdense.core.shift.planted import Planted, excess_per_class, images_per_class, plant
from imbdense.core.shift.probe import Discriminant, class_f1, self_train

DIM = 16
PER_CLASS = 3000
SIMULATIONS, SPLITS, FOLDS = 80, 10, 10
COVER = 0.9
NOTE = (
    'A prediction, not a verdict. It is made with a linear classifier on frozen features and one round of '
    'self-training; a network that learns its features may gain more or lose more. Confirm it with one short run.'
)


@dataclass(frozen=True)
class Forecast:
    """Predicted gain per class in points of F1; NaN where it cannot be predicted.

    Attributes:
        gain: (K,) from the regression. low, high: its 90 % interval, from the errors on simulations left out.
        probe_gain, probe_error: (K,) what self-training of the linear classifier with the real pool gained on labelled
            images it did not see, mean and half width of the 95 % interval over splits.
        baseline: (K,) F1 of the linear classifier.
        status: per class 'ok' or 'insufficient'.
        r_squared: of the regression on simulations left out; near 0 or below, it knows nothing beyond the mean.
        coverage: share of left-out simulations inside the interval.
        simulations: planted shifts that were run. reason: why there is no forecast. note: how to read it.
    """

    gain: Floats
    low: Floats
    high: Floats
    probe_gain: Floats
    probe_error: Floats
    baseline: Floats
    status: tuple[str, ...]
    r_squared: float
    coverage: float
    simulations: int
    reason: str = ''
    note: str = NOTE


def forecast_gain(
    labelled: ClassVectors,
    pool: Floats,
    pool_group: Indices,
    num_classes: int,
    *,
    pool_ratio: Floats | None = None,
    simulations: int = SIMULATIONS,
    seed: int = 0,
) -> Forecast:
    """Predict the gain of semi-supervised training before any training.

    Each simulation splits the labelled images into test, labelled and pool part, plants a shift of known strength in
    the pool part (another prior, one class moved, everything moved or rescaled; or none), and measures what one round
    of self-training of a linear classifier gains per class. A regression then leads from what can be seen of a pool -
    excess Fréchet distance of the class, its prior ratio, the number of labelled images with the class - to the gain,
    and is applied to the real pool.

    Args:
        labelled: drawn labelled vectors with weights. pool: (m, d) uniformly drawn vectors. pool_group: (m,).
        pool_ratio: (K,) pool share / labelled share of each class; ``None`` = 1, as NaN entries.
        simulations: planted shifts. seed: of everything drawn.

    Returns:
        The forecast; with fewer than 40 labelled or 20 pool images all NaN and a reason.
    """
    index, images = group_index(labelled.group)
    pool_index, pool_images = group_index(pool_group)
    if images < 2 * LEAST_IMAGES or pool_images < LEAST_IMAGES:
        return _unknown(num_classes, f'{images} labelled and {pool_images} pool images; 40 and 20 are needed')
    rng = np.random.default_rng(seed)
    keep = _thin(labelled.label, num_classes, rng)
    weight = labelled.weight[keep] * _thinned(labelled.label, keep, num_classes)[labelled.label[keep]]
    vectors, pool = _common_axes(labelled.vectors[keep], pool)
    data = Planted(vectors, labelled.label[keep], index[keep], weight)
    rows = [row for number in range(simulations) for row in _simulate(data, num_classes, number, rng)]
    if len({row[0] for row in rows}) < FOLDS:
        reason = 'too few images per class, or the linear classifier is sure of too little, to simulate with'
        return _unknown(num_classes, reason)
    pool_weight = np.full(len(pool), weight.sum() / images * pool_images / len(pool))
    probe = _probe(data, pool, pool_weight, num_classes, rng)
    real = _evidence_of_pool(data, pool, pool_index, pool_weight, num_classes, pool_ratio, rng)
    return _regress(np.array(rows), real, probe, num_classes, simulations)


def _thin(label: Indices, num_classes: int, rng: np.random.Generator) -> Indices:
    """At most 3000 vectors per class."""
    order = rng.permutation(len(label))
    return np.sort(np.concatenate([order[label[order] == k][:PER_CLASS] for k in range(num_classes)]))


def _thinned(label: Indices, keep: Indices, num_classes: int) -> Floats:
    """(K,) how many vectors each kept one stands for."""
    before, after = (np.bincount(values, minlength=num_classes) for values in (label, label[keep]))
    return before / np.maximum(after, 1)


def _common_axes(labelled: Floats, pool: Floats) -> tuple[Floats, Floats]:
    """Both on the main axes of the labelled vectors, in their standard deviations."""
    spread = labelled.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    scaled = np.asarray(labelled / spread, dtype=np.float64)
    axes, middle = principal_axes(scaled, min(DIM, max(2, len(labelled) // 20)))
    return (scaled - middle) @ axes, (pool / spread - middle) @ axes


def _simulate(data: Planted, num_classes: int, number: int, rng: np.random.Generator) -> list[tuple[float, ...]]:
    """Rows (simulation, class, excess, log prior ratio, log images, gain) of one planted shift."""
    images = int(data.group.max()) + 1
    order = rng.permutation(images)
    test = np.isin(data.group, order[: images // 4])
    rest = order[images // 4 :]
    size = int(np.exp(rng.uniform(np.log(0.1), np.log(0.8))) * rest.size)
    own = np.isin(data.group, rest[: max(size, 5)])
    part, ratio = plant(data.take(~test & ~own), num_classes, rng)
    train, held = data.take(own), data.take(test)
    before, after = _before_and_after(train, part.vectors, part.weight, held, num_classes)
    excess = excess_per_class(train, part, before[1], num_classes, rng)
    volume = images_per_class(train, num_classes)
    gain = after - before[0]
    known = np.flatnonzero(np.isfinite(excess) & np.isfinite(gain) & (ratio > 0))
    return [(number, k, excess[k], np.log(ratio[k]), np.log(volume[k]), gain[k]) for k in known]


def _before_and_after(
    train: Planted, pool: Floats, pool_weight: Floats, held: Planted, num_classes: int
) -> tuple[tuple[Floats, Discriminant], Floats]:
    """((F1, classifier) without the pool, F1 with it)."""
    model = Discriminant.fit(train.vectors, train.label, train.weight, num_classes)
    better = self_train(model, train.vectors, train.label, train.weight, pool, pool_weight, num_classes)
    scores = [
        class_f1(m.chances(held.vectors).argmax(axis=1), held.label, held.weight, num_classes) for m in (model, better)
    ]
    return (scores[0], model), scores[1]


def _probe(
    data: Planted, pool: Floats, pool_weight: Floats, num_classes: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """(gain, half width, baseline) of the linear classifier with the real pool over random splits."""
    gains, scores = [], []
    images = int(data.group.max()) + 1
    for _ in range(SPLITS):
        test = np.isin(data.group, rng.permutation(images)[: images // 4])
        before, after = _before_and_after(data.take(~test), pool, pool_weight, data.take(test), num_classes)
        gains.append(after - before[0])
        scores.append(before[0])
    table = np.array(gains)
    count = np.isfinite(table).sum(axis=0)
    safe = np.where(np.isfinite(table), table, 0.0)
    mean = np.where(count > 0, safe.sum(axis=0) / np.maximum(count, 1), np.nan)
    spread = np.where(np.isfinite(table), table - mean, 0.0)
    # The test parts overlap: the spread over splits is taken as it is and not divided by their number.
    half = 1.96 * np.sqrt((spread**2).sum(axis=0) / np.maximum(count - 1, 1))
    base = np.array(scores)
    known = np.isfinite(base).sum(axis=0)
    baseline = np.where(known > 0, np.nansum(base, axis=0) / np.maximum(known, 1), np.nan)
    return mean, np.where(count > 1, half, np.nan), baseline


def _evidence_of_pool(
    data: Planted, pool: Floats, pool_index: Indices, pool_weight: Floats, num_classes: int,
    pool_ratio: Floats | None, rng: np.random.Generator,
) -> Floats:  # fmt: skip
    """(K, 3): excess, log prior ratio, log images of the real pool."""
    model = Discriminant.fit(data.vectors, data.label, data.weight, num_classes)
    part = Planted(pool, np.full(len(pool), -1), pool_index, pool_weight)
    excess = excess_per_class(data, part, model, num_classes, rng)
    ratio = np.ones(num_classes) if pool_ratio is None else np.where(np.isfinite(pool_ratio), pool_ratio, 1.0)
    counts = np.bincount(data.label, minlength=num_classes)
    volume = images_per_class(data, num_classes)
    enough = (counts >= LEAST_VECTORS) & (volume >= LEAST_IMAGES)
    excess = np.where(enough, excess, np.nan)
    return np.stack([excess, np.log(np.maximum(ratio, 1e-3)), np.log(np.maximum(volume, 1.0))], axis=1)


def _design(classes: Floats, evidence: Floats, num_classes: int) -> Floats:
    """Columns: 1, log(1 + excess), log ratio, |log ratio|, log images, one per class."""
    excess = np.log1p(np.maximum(evidence[:, 0], 0.0))
    ratio = evidence[:, 1]
    fixed = np.stack([np.ones(len(evidence)), excess, ratio, np.abs(ratio), evidence[:, 2]], axis=1)
    return np.concatenate([fixed, np.eye(num_classes)[classes.astype(int)]], axis=1)


def _fit(design: Floats, gain: Floats) -> Floats:
    """Least squares on gains cut at their 5 % and 95 % quantiles (a class that self-training ruins now and then would
    decide alone); the classes' own levels are pulled towards 0."""
    gain = np.clip(gain, *np.quantile(gain, (0.05, 0.95)))
    penalty = np.full(design.shape[1], 1.0)
    penalty[:5] = 1e-6
    return np.linalg.solve(design.T @ design + np.diag(penalty), design.T @ gain)


def _regress(
    rows: Floats, real: Floats, probe: tuple[Floats, Floats, Floats], num_classes: int, simulations: int
) -> Forecast:
    """Fit, look at left-out simulations, predict the real pool."""
    number, classes, gain = rows[:, 0], rows[:, 1], rows[:, 5]
    design = _design(classes, rows[:, 2:5], num_classes)
    held_out = np.empty(len(gain))
    for fold in range(FOLDS):
        out = number % FOLDS == fold
        if out.any():
            held_out[out] = design[out] @ _fit(design[~out], gain[~out])
    error = np.abs(gain - held_out)
    r_squared = 1.0 - float((error**2).sum() / max(((gain - gain.mean()) ** 2).sum(), 1e-12))
    margin = _margins(error, classes, num_classes)
    inside = np.zeros(len(gain), dtype=bool)
    for fold in range(FOLDS):  # judged by the errors of other simulations
        out = number % FOLDS == fold
        inside[out] = error[out] <= _margins(error[~out], classes[~out], num_classes)[classes[out].astype(int)]
    known = np.isfinite(real[:, 0]) & np.isfinite(margin)
    predicted = _design(np.arange(num_classes, dtype=np.float64), np.nan_to_num(real), num_classes) @ _fit(design, gain)
    predicted = np.where(known, predicted, np.nan)
    status = tuple('ok' if one else 'insufficient' for one in known)
    used = np.isfinite(margin)[classes.astype(int)]
    coverage = float(inside[used].mean()) if used.any() else np.nan
    return Forecast(
        predicted, predicted - margin, predicted + margin, probe[0], probe[1], probe[2], status, r_squared, coverage,
        simulations,
    )  # fmt: skip


def _margins(error: Floats, classes: Floats, num_classes: int) -> Floats:
    """(K,) 90 % quantile of the errors of each class; NaN below 18 simulations."""
    margin = np.full(num_classes, np.nan)
    for klass in range(num_classes):
        mine = error[classes == klass]
        if mine.size >= 2 * (FOLDS - 1):
            margin[klass] = np.quantile(mine, min(1.0, COVER * (mine.size + 1) / mine.size))
    return margin


def _unknown(num_classes: int, reason: str) -> Forecast:
    """No forecast."""
    nan = np.full(num_classes, np.nan)
    return Forecast(nan, nan, nan, nan, nan, nan, ('insufficient',) * num_classes, np.nan, np.nan, 0, reason)
