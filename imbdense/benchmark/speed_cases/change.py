"""Change-detection metrics against the way published code counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imbdense.benchmark.speed_case import SpeedCase, Unequal, Workload, require_close
from imbdense.core.metrics.change_scores import HistogramSums, change_scores
from imbdense.core.metrics.change_states import change_states, count_state_pairs
from imbdense.core.metrics.change_tables import from_to_entries, semantic_table

LAND_CLASSES, MANY_CLASSES = 6, 23
SIDE = 512


def _chips(scale: float, classes: int = LAND_CLASSES) -> list[tuple[NDArray[np.uint8], ...]]:
    """Eight pairs of 512² (scaled), a fifth changed: change, land cover of both dates; predicted and labelled."""
    rng = np.random.default_rng(0)
    chips = []
    for _ in range(int(8 * scale)):
        first, second = (
            np.kron(rng.integers(0, classes, (SIDE // 32, SIDE // 32)), np.ones((32, 32))).astype(np.uint8)
            for _ in range(2)
        )
        second = np.where(np.kron(rng.random((SIDE // 32, SIDE // 32)) < 0.25, np.ones((32, 32))) > 0, second, first)
        wrong = rng.random((SIDE, SIDE)) < 0.15
        said = np.where(wrong, rng.integers(0, classes, (SIDE, SIDE)), first).astype(np.uint8)
        changed = (first != second).astype(np.uint8)
        chips.append((np.where(wrong, 1 - changed, changed).astype(np.uint8), said, second, changed, first, second))
    return chips


def _coded(chip: tuple[NDArray[np.uint8], ...], side: int, date: int) -> NDArray[np.int64]:
    """The map of a date as published code has it: 0 = unchanged, 1 ... S."""
    return np.where(chip[side] > 0, chip[side + date].astype(np.int64) + 1, 0)


def _published(maps: list[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> tuple[float, float]:
    """SeK and mIoU as published scripts count: look at the values, mask, one bincount of 37 classes a map."""
    size = 37
    hist = np.zeros((size, size))
    for pred, label in maps:
        if not set(np.unique(pred)) <= set(range(size)):
            raise ValueError('unrecognized label number')
        a, b = pred.flatten(), label.flatten()
        keep = (a >= 0) & (a < size)
        hist += np.bincount(size * a[keep].astype(int) + b[keep], minlength=size**2).reshape(size, size)
    h, n = hist[0, 0], hist.sum()
    fn, fp = hist[0].sum() - h, hist[:, 0].sum() - h
    iou0, iou1 = h / (h + fn + fp), hist[1:, 1:].sum() / (n - h)
    rest = hist.copy()
    rest[0, 0] = 0
    m = rest.sum()
    observed, chance = np.diag(rest).sum() / m, (rest.sum(1) @ rest.sum(0)) / m**2
    return (observed - chance) / (1 - chance) * math.exp(iou1) / math.e, (iou0 + iou1) / 2


def counting(scale: float) -> Workload:
    """From byte maps to SeK; the peer gets its 0-coded int64 maps ready made."""
    chips = _chips(scale)
    tensors = [[torch.from_numpy(item) for item in chip] for chip in chips]
    coded = [(_coded(chip, 0, date), _coded(chip, 3, date)) for date in (1, 2) for chip in chips]

    def ours() -> tuple[float, float]:
        table = np.zeros((LAND_CLASSES + 1, LAND_CLASSES + 1), dtype=np.int64)
        for chip in tensors:
            predicted = change_states(chip[0], chip[1], chip[2], LAND_CLASSES, side='prediction')
            labelled = change_states(chip[3], chip[4], chip[5], LAND_CLASSES, side='label')
            table += semantic_table(count_state_pairs(predicted, labelled, LAND_CLASSES))
        scores = change_scores(HistogramSums.of(table))
        return float(scores['SeK']), float(scores['mIoU'])

    def check(a: Any, b: Any) -> str:
        pixels = 2 * SIDE * SIDE * len(chips) / 1e6
        return f'{require_close("SeK and mIoU", a, b, 1e-12)}; {pixels:.1f} million map pixels'

    return Workload(ours, lambda: _published(coded), check)


def transitions(scale: float) -> Workload:
    """From byte maps to the table of all transitions of 23 classes, both sides."""
    chips, size = _chips(scale, MANY_CLASSES), 1 + MANY_CLASSES**2
    tensors = [[torch.from_numpy(item) for item in chip] for chip in chips]

    def ours() -> NDArray[np.int64]:
        table = np.zeros((size, size), np.int64)
        for chip in tensors:
            predicted = change_states(chip[0], chip[1], chip[2], MANY_CLASSES, side='prediction')
            labelled = change_states(chip[3], chip[4], chip[5], MANY_CLASSES, side='label')
            index, count = from_to_entries(count_state_pairs(predicted, labelled, MANY_CLASSES))
            np.add.at(table, index, count)
        return table

    def peer() -> NDArray[np.int64]:
        table = np.zeros((size, size), np.int64)
        for chip in chips:
            a, b = (
                np.where(chip[k] > 0, MANY_CLASSES * chip[k + 1].astype(np.int64) + chip[k + 2] + 1, 0).ravel()
                for k in (0, 3)
            )
            keep = (b >= 0) & (b < size)
            table += np.bincount(size * a[keep] + b[keep], minlength=size**2).reshape(size, size)
        return table

    def check(one: NDArray[np.int64], two: NDArray[np.int64]) -> str:
        if not np.array_equal(one, two):
            raise Unequal('the tables differ')
        return f'tables equal; {SIDE * SIDE * len(chips) / 1e6:.1f} million pixels'

    return Workload(ours, peer, check)


CASES = (
    SpeedCase(
        'change-counting', 'SeK of 8 pairs of 512², 6 classes, both dates',
        'published scripts: np.unique, masks, int64 bincount', 0.15, counting, small=1.0, repeats=11,
    ),
    SpeedCase(
        'transition-counting', 'all 529 transitions of 8 pairs of 512², 23 classes', 'ids in int64, mask, one bincount',
        0.65, transitions, small=1.0, repeats=11,
    ),
)
