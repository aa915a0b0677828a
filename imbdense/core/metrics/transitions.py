"""From what to what: transition matrices, areas, scores per transition, and what happens to the rare ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.metrics.change_scores import Floats, HistogramSums, class_scores
from imbdense.core.metrics.groups import FrequencyGroups, mean_present

SQUARE_MM = 1_000_000
"""Areas are summed in whole square millimetres: exact, and enough for nine million square kilometres."""
HECTARE = 10_000 * SQUARE_MM


@dataclass(frozen=True)
class Transitions:
    """Matrices (S, S) of from-to counts, rows = first date, columns = second.

    Attributes:
        labelled: T_label, over pixels changed in the label. predicted: T_pred, over pixels changed in the prediction.
        hit: T_hit, pixels whose predicted transition is the labelled one.
    """

    labelled: NDArray[Any]
    predicted: NDArray[Any]
    hit: NDArray[Any]

    @classmethod
    def of(cls, sums: HistogramSums) -> Transitions:
        """From the sums of a ``from_to`` histogram of 1 + S^2 ids."""
        return cls(*(as_matrix(part) for part in (sums.labelled, sums.predicted, sums.agreed)))


def as_matrix(values: NDArray[Any]) -> NDArray[Any]:
    """The entries 1 ... S^2 of (1 + S^2,) as a matrix (S, S)."""
    size = round((values.shape[-1] - 1) ** 0.5)
    if size * size + 1 != values.shape[-1]:
        raise ValueError(f'transitions: expected 1 + S^2 entries, but got {values.shape[-1]}.')
    return values[1:].reshape(size, size)


def row_normalised(matrix: NDArray[Any]) -> Floats:
    """Every row divided by its sum: where what stood here went. NaN for an empty row."""
    counts = np.asarray(matrix, dtype=np.float64)
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)


def pixel_area(transform: Sequence[float]) -> int:
    """Area of a pixel in square millimetres, |a e - b d| of a projected geotransform (a, b, c, d, e, f) in metres.

    Raises:
        ValueError: fewer than six numbers, or an area of less than one square millimetre (degrees, not metres?).
    """
    values = [float(value) for value in tuple(transform)[:6]]
    if len(values) < 6:
        raise ValueError(f'transform must hold the six numbers (a, b, c, d, e, f), but is {tuple(transform)}.')
    a, b, _, d, e, _ = values
    area = round(abs(a * e - b * d) * SQUARE_MM)
    if area < 1:
        raise ValueError(
            f'transform {tuple(values)} gives pixels of less than 1 mm²; areas need a projected grid in metres, not '
            f'degrees. Leave transform out of the meta keys, or reproject the images.'
        )
    return area


def transition_scores(sums: HistogramSums) -> dict[str, float]:
    """Means over the transitions that the labels hold, from the sums of a ``from_to`` histogram.

    ``present``: how many those are; ``effective``: exp(entropy) of their shares, the number of equally frequent ones
    that would be as varied; ``macro_iou, macro_f1, macro_recall``: means over them; ``macro_iou_with_unchanged``: the
    same with id 0 (what torchange calls mIoU). NaN without a labelled transition.
    """
    scores = class_scores(sums)
    held = sums.labelled > 0
    changes = held.copy()
    changes[0] = False
    share = sums.labelled[changes] / max(int(sums.labelled[changes].sum()), 1)
    return {
        'present': float(changes.sum()),
        'effective': float(np.exp(-np.sum(share * np.log(share)))) if changes.any() else float('nan'),
        'macro_iou': mean_present(scores['IoU'][changes]),
        'macro_f1': mean_present(scores['F1'][changes]),
        'macro_recall': mean_present(scores['recall'][changes]),
        'macro_iou_with_unchanged': mean_present(scores['IoU'][held]) if changes.any() else float('nan'),
    }


def long_tail(sums: HistogramSums, *, source: str) -> dict[str, float]:
    """Mean recall and IoU of the most frequent, middle and rarest third of the classes 1 ... K - 1 of a histogram.

    Returns ``lt_recall_head, lt_iou_head, ..._medium, ..._tail`` and ``lt_zero_recall``, the number of labelled
    classes of which not one pixel was found. Sorted by labelled pixels; classes without any are in no group.
    """
    counts = sums.labelled[1:]
    if not counts.any():
        return {}
    scores = class_scores(sums)
    groups = FrequencyGroups.thirds(counts, source=source)
    out = {}
    for group, members in groups.members.items():
        for name, key in (('recall', 'recall'), ('iou', 'IoU')):
            out[f'lt_{name}_{group}'] = mean_present(scores[key][1:][list(members)])
    out['lt_zero_recall'] = float(np.sum(scores['recall'][1:] == 0))
    return out
