"""Where a segmentor loses the pixels of each class: to the prior, on small parts, at borders, or to other classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbdense.core.inference.likelihood_offsets import likelihood_offsets
from imbdense.core.inference.per_class_threshold import best_threshold
from imbdense.core.inference.pixel_sample import PixelSample
from imbdense.core.inference.shares import waterfall
from imbdense.core.inference.tau_search import logit_adjust_shift
from imbdense.core.inference.weighted_table import table_iou, table_recall, weighted_confusion

Floats = NDArray[np.float64]
SEGMENTATION_CAUSES: tuple[str, ...] = ('prior', 'small', 'boundary', 'classification')
SMALL, LARGE = 32 * 32, 96 * 96
BORDER = 2
"""Pixels within this distance of another class count as border."""


def class_margins(logits: NDArray[np.floating], index: int) -> Floats:
    """z_c minus the highest other logit: the pixel is decided c when the offset of c exceeds its negative."""
    others = np.asarray(logits, dtype=np.float64).copy()
    own = others[:, index].copy()
    others[:, index] = -np.inf
    return own - others.max(axis=1)


def segmentation_shares(sample: PixelSample) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Split 1 - IoU of every class into :data:`SEGMENTATION_CAUSES`.

    ::

        prior           IoU -> IoU with the best offset of the class's own logit (an oracle shift of its prior), the
                        other classes as they are or shifted to their most likely prior (likelihood_offsets)
        small           of what is then still lost, in proportion to the wrong pixels: those in parts of the class of
                        less than 32 x 32 pixels,
        boundary        else those within 2 pixels of another class,
        classification  and the rest

    A wrong pixel is one of the class that is not found, or one of another class that is taken for it.

    Returns:
        (cause -> share (C,), measure -> (C,)): ``IoU``, ``recall``, ``IoU_best_offset``, ``best_offset`` and
        ``recall_balanced`` (argmax after subtracting the log of the sample's class shares). NaN for absent classes.
    """
    classes = sample.num_classes
    table = weighted_confusion(sample.logits.argmax(axis=1), sample.label, sample.weight, classes)
    shares = table.sum(axis=1)
    shifted = sample.logits + logit_adjust_shift(shares, 1.0)
    balanced = weighted_confusion(shifted.argmax(axis=1), sample.label, sample.weight, classes)
    measures = {
        'IoU': table_iou(table),
        'recall': table_recall(table),
        'recall_balanced': table_recall(balanced),
        'IoU_best_offset': np.full(classes, np.nan),
        'best_offset': np.full(classes, np.nan),
    }
    parts = np.full((3, classes), np.nan)
    likely = likelihood_offsets(sample.logits, sample.label, sample.weight, classes)
    for index in np.flatnonzero(shares > 0):
        positive = sample.label == index
        tried = []
        for logits in (sample.logits, sample.logits + likely):
            margins = class_margins(logits, int(index))
            tried.append((best_threshold(margins, positive, sample.weight, criterion='iou'), margins))
        cut, margins = max(tried, key=lambda pair: pair[0].quality)
        measures['IoU_best_offset'][index] = max(cut.quality, measures['IoU'][index])
        measures['best_offset'][index] = -tried[0][0].value
        parts[:, index] = _wrong_parts(sample, positive, margins > cut.value)
    best = measures['IoU_best_offset']
    left = 1 - best
    stages = [
        ('prior', best),
        ('small', best + left * parts[0]),
        ('boundary', best + left * parts[:2].sum(axis=0)),
        ('classification', best + left),
    ]
    return waterfall(stages, measures['IoU']), measures


def _wrong_parts(sample: PixelSample, positive: NDArray[np.bool_], decided: NDArray[np.bool_]) -> Floats:
    """Shares of small, boundary and other pixels among the wrong ones; (0, 0, 1) when none is wrong."""
    wrong = positive != decided
    mass = sample.weight * wrong
    total = float(mass.sum())
    if total == 0:
        return np.array([0.0, 0.0, 1.0])
    small = positive & (sample.size < SMALL)
    edge = ~small & (sample.border <= BORDER)
    found = np.array([mass[small].sum(), mass[edge].sum()]) / total
    return np.append(found, 1 - found.sum())


def recall_by_size(sample: PixelSample) -> dict[str, Floats]:
    """Recall (C,) of the argmax over pixels in small (< 32^2), medium and large (>= 96^2) parts; NaN where none is."""
    bands = {
        'small': sample.size < SMALL,
        'medium': (sample.size >= SMALL) & (sample.size < LARGE),
        'large': sample.size >= LARGE,
    }
    return {name: _recall(sample.take(band)) for name, band in bands.items()}


def recall_by_border(sample: PixelSample) -> dict[str, Floats]:
    """Recall (C,) of the argmax within 2 pixels of another class, and inside."""
    edge = sample.border <= BORDER
    return {'border': _recall(sample.take(edge)), 'inside': _recall(sample.take(~edge))}


def _recall(sample: PixelSample) -> Floats:
    """Recall per class of a sample."""
    pred = sample.logits.argmax(axis=1)
    return table_recall(weighted_confusion(pred, sample.label, sample.weight, sample.num_classes))
