"""Scores of change detection: separated kappa, SeK, F_scd and their companions, from sums of a histogram.

With H[i, j] = pixels predicted i and labelled j (0 = unchanged), n = sum H, h = H[0, 0], M = H with M[0, 0] = 0:

* OA = trace(H) / n; kappa of H
* IoU0 = h / (h + FN + FP), IoU1 = TP / (TP + FN + FP), mIoU = (IoU0 + IoU1) / 2: of changed or not, not of land cover
* separated kappa = kappa of M; SeK = separated kappa exp(IoU1 - 1), in [-1, 1]; Score = 0.3 mIoU + 0.7 SeK
* F_scd = harmonic mean of P = sum_{k>0} H[k, k] / predicted changed and R = the same / labelled changed

None of them needs more of H than its row sums, column sums and diagonal; these add up over tiles, ranks and blocks.

Sources: Yang et al., "Semantic Change Detection with Asymmetric Siamese Networks" (TGRS 2021, arXiv 2010.05687);
F_scd as in the code of Bi-SRNet (Ding et al., TGRS 2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HistogramSums:
    """What scores need of a histogram (..., K, K), rows = prediction: three vectors (..., K), any leading shape.

    Attributes:
        predicted: row sums. labelled: column sums. agreed: diagonal. int64; float64 where resampled.
    """

    predicted: NDArray[Any]
    labelled: NDArray[Any]
    agreed: NDArray[Any]

    @classmethod
    def of(cls, histogram: NDArray[Any]) -> HistogramSums:
        """The sums of a matrix (..., K, K)."""
        table = np.asarray(histogram)
        if table.ndim < 2 or table.shape[-1] != table.shape[-2]:
            raise ValueError(f'HistogramSums: the histogram must be (..., K, K), but is {table.shape}.')
        return cls(table.sum(axis=-1), table.sum(axis=-2), np.diagonal(table, axis1=-2, axis2=-1).copy())

    @classmethod
    def of_columns(cls, columns: Mapping[int, NDArray[np.int64]], size: int) -> HistogramSums:
        """The sums of a histogram (K, K) given by its columns in use."""
        predicted, labelled, agreed = (np.zeros(size, dtype=np.int64) for _ in range(3))
        for label, column in columns.items():
            predicted += column
            labelled[label], agreed[label] = column.sum(), column[label]
        return cls(predicted, labelled, agreed)

    @classmethod
    def unpack(cls, packed: NDArray[Any]) -> HistogramSums:
        """The sums in an array (..., 3 K) of :meth:`pack`."""
        size = packed.shape[-1] // 3
        return cls(packed[..., :size], packed[..., size : 2 * size], packed[..., 2 * size :])

    def pack(self) -> NDArray[Any]:
        """The three vectors in one (..., 3 K)."""
        return np.concatenate([self.predicted, self.labelled, self.agreed], axis=-1)

    @property
    def total(self) -> NDArray[Any]:
        """Counted pixels (...)."""
        return self.labelled.sum(axis=-1)


def change_scores(sums: HistogramSums, *, strict_reference: bool = False) -> dict[str, Floats]:
    """Scores of a change histogram, each float64 of the leading shape of ``sums``.

    Returns ``OA, kappa, IoU0, IoU1, mIoU, separated_kappa, SeK, Score, precision_scd, recall_scd, F_scd``, and
    ``valid`` (0 where neither side holds a change) and ``kappa_degenerate`` (1 where chance agreement is 1).

    Edge cases: no change on either side: IoU1, mIoU, separated kappa, SeK, Score, F_scd are NaN and ``valid`` is 0.
    Change on one side only: SeK and F_scd are 0. One class only, all right (chance agreement 1): separated kappa 1.
    Nothing counted: all NaN.

    Args:
        strict_reference: answer as the published code does: separated kappa 0 where chance agreement is 1 or nothing
            changed, and F_scd NaN where one side holds no change.
    """
    n = sums.total.astype(np.float64)
    h = sums.agreed[..., 0].astype(np.float64)
    fn, fp = sums.predicted[..., 0] - h, sums.labelled[..., 0] - h
    tp = n - h - fn - fp
    iou0, iou1 = _ratio(h, h + fn + fp), _ratio(tp, tp + fn + fp)
    separated, degenerate = _separated_kappa(sums, h, strict_reference)
    sek = separated * np.exp(iou1 - 1.0)
    mean_iou = (iou0 + iou1) / 2
    right = sums.agreed[..., 1:].sum(axis=-1).astype(np.float64)
    changed = np.stack([tp + fp, tp + fn])
    precision, recall = (_ratio(right, part) for part in changed)
    f_scd = _f_scd(precision, recall, changed, strict_reference)
    return {
        'OA': _ratio(sums.agreed.sum(axis=-1).astype(np.float64), n),
        'kappa': cohen_kappa(sums, strict_reference=strict_reference),
        'IoU0': iou0,
        'IoU1': iou1,
        'mIoU': mean_iou,
        'separated_kappa': separated,
        'SeK': sek,
        'Score': 0.3 * mean_iou + 0.7 * sek,
        'precision_scd': precision,
        'recall_scd': recall,
        'F_scd': f_scd,
        'valid': (tp + fn + fp > 0).astype(np.float64),
        'kappa_degenerate': degenerate,
    }


def cohen_kappa(sums: HistogramSums, *, strict_reference: bool = False) -> Floats:
    """Cohen's kappa (po - pe) / (1 - pe); 1 where one class is all there is and all is right; NaN without pixels."""
    return _kappa(sums, sums.total, strict_reference)[0]


def class_scores(sums: HistogramSums) -> dict[str, Floats]:
    """Per class (..., K): ``IoU, F1, precision, recall``.

    NaN where undefined: IoU and F1 without a true or predicted pixel, recall without true ones, precision without
    either. A class that is labelled but never predicted has precision 0.
    """
    predicted, labelled, agreed = (part.astype(np.float64) for part in (sums.predicted, sums.labelled, sums.agreed))
    precision = _ratio(agreed, predicted)
    return {
        'IoU': _ratio(agreed, predicted + labelled - agreed),
        'F1': _ratio(2 * agreed, predicted + labelled),
        'precision': np.where((predicted == 0) & (labelled > 0), 0.0, precision),
        'recall': _ratio(agreed, labelled),
    }


def macro_scores(sums: HistogramSums, *, first: int = 0) -> dict[str, Floats]:
    """Means over the classes ``first`` ... K - 1: ``macro_recall`` (balanced accuracy, over classes with true pixels),
    ``macro_iou`` and ``macro_f1`` (over classes with true or predicted pixels). NaN without such a class."""
    scores = class_scores(sums)
    return {
        f'macro_{name}': _mean_defined(scores[key][..., first:])
        for name, key in (('recall', 'recall'), ('iou', 'IoU'), ('f1', 'F1'))
    }


def kind_scores(sums: HistogramSums) -> dict[str, Floats]:
    """``OA, kappa`` and the macro scores of a histogram whose classes are all alike, "no change" among them."""
    overall = _ratio(sums.agreed.sum(axis=-1).astype(np.float64), sums.total.astype(np.float64))
    return {'OA': overall, 'kappa': cohen_kappa(sums), **macro_scores(sums)}


def binary_scores(sums: HistogramSums) -> dict[str, Floats]:
    """Scores of a two-class histogram: ``precision, recall, F1, IoU`` of the change class alone; ``false_change``, the
    share of unchanged pixels called changed; ``OA, kappa``; the two-class means ``mIoU`` and ``mFscore``."""
    per_class = class_scores(sums)
    return {
        **{name: per_class[name][..., 1] for name in ('precision', 'recall', 'F1', 'IoU')},
        'false_change': 1.0 - per_class['recall'][..., 0],
        'OA': _ratio(sums.agreed.sum(axis=-1).astype(np.float64), sums.total.astype(np.float64)),
        'kappa': cohen_kappa(sums),
        'mIoU': per_class['IoU'].mean(axis=-1),
        'mFscore': per_class['F1'].mean(axis=-1),
    }


def _separated_kappa(sums: HistogramSums, unchanged: Floats, strict: bool) -> tuple[Floats, Floats]:
    """Kappa without the pixels that both sides call unchanged, and where chance agreement is 1."""
    first = np.zeros(sums.agreed.shape[-1])
    first[0] = 1.0
    cut = unchanged[..., None] * first
    rest = HistogramSums(sums.predicted - cut, sums.labelled - cut, sums.agreed - cut)
    return _kappa(rest, sums.total - unchanged, strict)


def _kappa(sums: HistogramSums, total: NDArray[Any], strict: bool) -> tuple[Floats, Floats]:
    """Kappa and whether chance agreement is 1; products are taken in float64, squares of counts overflow int64."""
    m = np.asarray(total, dtype=np.float64)
    observed = _ratio(sums.agreed.sum(axis=-1).astype(np.float64), m)
    chance = _ratio((sums.predicted.astype(np.float64) * sums.labelled.astype(np.float64)).sum(axis=-1), m * m)
    degenerate = chance == 1.0
    kappa = _ratio(observed - chance, 1.0 - chance)
    right = 0.0 if strict else np.where(observed < 1.0, 0.0, 1.0)
    kappa = np.where(degenerate, right, kappa)
    if strict:
        kappa = np.where(m == 0, 0.0, kappa)
    return kappa, degenerate.astype(np.float64)


def _f_scd(precision: Floats, recall: Floats, changed: Floats, strict: bool) -> Floats:
    """Harmonic mean; 0 where one side holds no change (NaN in the published code), NaN where neither does."""
    p, r = np.nan_to_num(precision), np.nan_to_num(recall)
    f_scd = np.divide(2 * p * r, p + r, out=np.zeros_like(p), where=(p + r) > 0)
    undefined = (changed == 0).any(axis=0) if strict else (changed == 0).all(axis=0)
    return np.where(undefined, np.nan, f_scd)


def _mean_defined(values: Floats) -> Floats:
    """Mean over the last axis without NaN; NaN where all are."""
    return _ratio(np.nansum(values, axis=-1), (~np.isnan(values)).sum(axis=-1))


def _ratio(numerator: NDArray[Any], denominator: NDArray[Any]) -> Floats:
    """Quotient, NaN where the denominator is 0."""
    top, bottom = np.broadcast_arrays(np.asarray(numerator, np.float64), np.asarray(denominator, np.float64))
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0)
