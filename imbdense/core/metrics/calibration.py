"""Calibration of dense probabilities from integer bins: ECE, class-wise ECE, negative log-likelihood, Brier score.

Sums of probabilities are kept in fixed point (units of 2**-24), so that they are int64 and therefore exactly the same
for any batch split and any number of ranks. One pixel is off by at most 3e-8; 5e11 pixels fit.

Sources: Guo et al., "On Calibration of Modern Neural Networks" (2017); class-wise ECE: Kull et al. (2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

UNIT = 2.0**24
MAX_NLL = 104.0
"""-log of the smallest float32; a probability of 0 at the true class counts as this."""

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def empty_bins(num_classes: int, bins: int = 15) -> dict[str, Counts]:
    """Return zeroed calibration tables; see :func:`calibration_bins`."""
    per_bin = ('bin_count', 'bin_prob', 'bin_true', 'top_count', 'top_prob', 'top_true')
    tables: dict[str, Counts] = {name: np.zeros((num_classes, bins), dtype=np.int64) for name in per_bin}
    per_class: dict[str, Counts] = {name: np.zeros(num_classes, dtype=np.int64) for name in ('truth', 'nll', 'brier')}
    return tables | per_class


def calibration_bins(probs: Tensor, target: Tensor, valid: Tensor, *, bins: int = 15) -> dict[str, Counts]:
    """Count one batch of positions into mergeable tables (add them up over batches and ranks).

    Args:
        probs: probabilities (C, n), columns sum to 1 (C >= 2). Columns with NaN must be excluded by ``valid``.
        target: int64 (n,), values in [0, C) where ``valid``.
        valid: bool (n,).
        bins: equally wide bins of the probability; bin b covers (b / bins, (b + 1) / bins], the first one includes 0
            (Guo et al.).

    Returns:
        int64 arrays. One-vs-rest per class c, (C, bins): ``bin_count`` positions, ``bin_prob`` sum of p_c, ``bin_true``
        how many of them are c. For the winning class only, by predicted class (C, bins): ``top_count, top_prob,
        top_true``. By true class (C,): ``truth`` positions, ``nll`` sum of -log p_y, ``brier`` sum of |p - onehot|^2.
        Sums of ``*_prob``, ``nll``, ``brier`` are in units of 2**-24.
    """
    p = probs[:, valid].float()
    y = target[valid].long()
    classes, size = p.shape
    if size == 0:
        return empty_bins(classes, bins)
    fixed = _fixed(p)
    place = (p * bins).ceil_().to(torch.int64).sub_(1).clamp_(0, bins - 1)
    place += torch.arange(classes, device=p.device)[:, None] * bins
    top_p, top = p.max(dim=0)
    top_place = place.gather(0, top[None])[0]
    cells = classes * bins
    own = p.gather(0, y[None])[0]
    nll = -own.clamp_min(torch.finfo(torch.float32).tiny).log()
    brier = p.square().sum(dim=0) - 2 * own + 1
    tables = {
        'bin_count': _count(place.view(-1), cells),
        'bin_prob': _count(place.view(-1), cells, fixed.view(-1)),
        'bin_true': _count(place.gather(0, y[None])[0], cells),
        'top_count': _count(top_place, cells),
        'top_prob': _count(top_place, cells, _fixed(top_p)),
        'top_true': _count(top_place[top == y], cells),
    }
    by_class = {
        'truth': _count(y, classes),
        'nll': _count(y, classes, _fixed(nll.clamp_max(MAX_NLL))),
        'brier': _count(y, classes, _fixed(brier)),
    }
    return {name: table.reshape(classes, bins) for name, table in tables.items()} | by_class


@dataclass(frozen=True)
class CalibrationScores:
    """Calibration of an evaluated set; NaN where there is nothing to judge (class without true positions).

    Attributes:
        ece: sum_b (n_b / n) |accuracy_b - confidence_b| of the winning class.
        class_ece: the same one-vs-rest per class, sum_b (n_b / n) |frequency_b - mean p_b|, (C,). Small for rare
            classes by construction (nearly all positions are easy negatives): compare it with the prevalence.
        class_gap: the part of it that says in which direction: mean p_c minus prevalence of c, (C,); negative =
            the class is predicted too timidly.
        nll, brier: means over the positions of each true class, (C,).
        mean_nll, mean_brier: means over all positions.
    """

    ece: float
    class_ece: Floats
    class_gap: Floats
    nll: Floats
    brier: Floats
    mean_nll: float
    mean_brier: float


def calibration_scores(tables: dict[str, Counts]) -> CalibrationScores:
    """Compute the scores from (summed) tables of :func:`calibration_bins`."""
    truth = tables['truth']
    total = int(truth.sum())
    if total == 0:
        nothing = np.full(truth.shape, np.nan)
        return CalibrationScores(np.nan, nothing, nothing, nothing, nothing, np.nan, np.nan)
    distance = np.abs(tables['bin_true'] - tables['bin_prob'] / UNIT).sum(axis=1) / total
    gap = (tables['bin_prob'].sum(axis=1) / UNIT - tables['bin_true'].sum(axis=1)) / total
    top_true, top_prob = tables['top_true'].sum(axis=0), tables['top_prob'].sum(axis=0) / UNIT
    present = truth > 0
    positions = np.where(present, truth, 1)
    return CalibrationScores(
        ece=float(np.abs(top_true - top_prob).sum() / total),
        class_ece=np.where(present, distance, np.nan),
        class_gap=np.where(present, gap, np.nan),
        nll=np.where(present, tables['nll'] / UNIT / positions, np.nan),
        brier=np.where(present, tables['brier'] / UNIT / positions, np.nan),
        mean_nll=float(tables['nll'].sum() / UNIT / total),
        mean_brier=float(tables['brier'].sum() / UNIT / total),
    )


def _fixed(values: Tensor) -> Tensor:
    """Nearest multiple of 2**-24 as float64 holding an integer."""
    return (values.double() * UNIT).round_()


def _count(place: Tensor, size: int, weights: Tensor | None = None) -> Counts:
    """Histogram as int64; integer weights below 2**53 are summed exactly in float64."""
    counts: Counts = torch.bincount(place, weights=weights, minlength=size).cpu().numpy().astype(np.int64)
    return counts
