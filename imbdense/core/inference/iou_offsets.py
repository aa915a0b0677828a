"""Offsets per class for the argmax of a segmentor: coordinate ascent on the mean IoU, one class after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbdense.core.inference.weighted_table import table_score, weighted_confusion

Floats = NDArray[np.float64]
BINS = 61


def fit_iou_offsets(
    logits: NDArray[np.floating],
    target: NDArray[np.integer],
    weight: Floats,
    *,
    start: Floats | None = None,
    objective: str = 'mIoU',
    reach: float = 6.0,
    rounds: int = 3,
) -> Floats:
    """Return b (C,) so that argmax_c (z_c + b_c) has a high mean IoU (or mean recall) on the weighted pixels.

    For one class at a time, 61 offsets within ``reach`` of the present one are compared, exactly: the pixels are
    binned by the margin at which they would change to or from that class. Only an improvement is taken, so the
    objective never falls. Classes without truth keep their offset.

    Args:
        logits: (n, C). target: (n,). weight: (n,).
        start: (C,) first offsets, default 0.
        rounds: passes over the classes; it stops earlier when a pass changes nothing.

    Raises:
        ValueError: there is no pixel.
    """
    if len(logits) == 0:
        raise ValueError('fit_iou_offsets: there is no labelled pixel to fit on.')
    values = np.asarray(logits, dtype=np.float64)
    classes = values.shape[1]
    offsets = np.zeros(classes) if start is None else np.asarray(start, dtype=np.float64).copy()
    present = np.bincount(target, minlength=classes) > 0
    score = table_score(weighted_confusion((values + offsets).argmax(1), target, weight, classes), objective)
    for _ in range(rounds):
        before = score
        for index in np.flatnonzero(present):
            score, offsets[index] = _best_offset(values, target, weight, offsets, int(index), score, objective, reach)
        if score <= before + 1e-9:
            break
    return offsets - offsets.mean()


def _best_offset(
    values: Floats,
    target: NDArray[np.integer],
    weight: Floats,
    offsets: Floats,
    index: int,
    score: float,
    objective: str,
    reach: float,
) -> tuple[float, float]:
    """(score, offset of class ``index``) of the best of the candidates; the present one when none is better."""
    classes = values.shape[1]
    others = values + offsets
    others[:, index] = -np.inf
    runner_up = others.argmax(axis=1)
    needed = others[np.arange(len(values)), runner_up] - values[:, index]  # the offset from which on ``index`` wins
    candidates = offsets[index] + np.linspace(-reach, reach, BINS)
    bin_of = np.searchsorted(candidates, needed, side='left')  # candidate b wins where needed <= candidates[b]
    place = (bin_of * classes + target) * classes + runner_up
    moved = np.bincount(place, weights=weight, minlength=(BINS + 1) * classes * classes)
    moved = np.cumsum(moved.reshape(BINS + 1, classes, classes), axis=0)  # (b, truth, where the pixels would be else)
    lost = moved[-1] - moved
    best, chosen = score, float(offsets[index])
    for b, candidate in enumerate(candidates):
        table = lost[b].copy()
        table[:, index] += moved[b].sum(axis=1)
        reached = table_score(table, objective)
        if reached > best + 1e-9:
            best, chosen = reached, float(candidate)
    return best, chosen
