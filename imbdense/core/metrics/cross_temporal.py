"""Trained on one date, tested on another: what is lost on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.metrics.confusion_scores import confusion_scores

SCORES = ('OA', 'macro_recall', 'macro_iou', 'macro_f1')


@dataclass(frozen=True)
class CrossTemporal:
    """Scores of every (date of training, date of test).

    Attributes:
        scores: name -> float64 (train dates, test dates), NaN where a pair was not tested.
        drops: the same, score of the model trained on the test date minus this score; NaN without such a model.
        train, test: the dates, in order.
    """

    scores: dict[str, NDArray[np.float64]]
    drops: dict[str, NDArray[np.float64]]
    train: tuple[str, ...]
    test: tuple[str, ...]


def cross_temporal(tables: Mapping[tuple[str, str], NDArray[np.int64]]) -> CrossTemporal:
    """Score confusion tables (C, C), rows = truth, keyed by (date of training, date of test), and the drops.

    ``OA`` pixel accuracy; ``macro_recall, macro_iou, macro_f1`` means over the classes with true pixels. Compare the
    same split at all dates, otherwise a drop is also a difference of places.
    """
    if not tables:
        raise ValueError('cross_temporal: needs at least one table.')
    train = tuple(dict.fromkeys(key[0] for key in tables))
    test = tuple(dict.fromkeys(key[1] for key in tables))
    scores: dict[str, NDArray[np.float64]] = {name: np.full((len(train), len(test)), np.nan) for name in SCORES}
    for (before, after), table in tables.items():
        means = confusion_scores(table).means()
        values = (means['aAcc'], means['mRecall'], means['mIoU'], means['mDice'])
        for name, value in zip(SCORES, values):
            scores[name][train.index(before), test.index(after)] = value
    drops: dict[str, NDArray[np.float64]] = {}
    for name, matrix in scores.items():
        home = [matrix[train.index(date), column] if date in train else np.nan for column, date in enumerate(test)]
        drops[name] = np.asarray(home)[None] - matrix
    return CrossTemporal(scores, drops, train, test)
