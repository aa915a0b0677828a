"""What kind of error costs how much AP: the six error types of TIDE, per class.

Source: Bolya et al., TIDE: a general toolbox for identifying object detection errors, ECCV 2020 (own implementation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.inference.box_matching import FALSE, TRUE, Flags, average_precision, match_boxes
from imbdense.core.inference.detection_set import ImageDetections, ImageObjects
from imbdense.core.overlaps import box_iou

Floats = NDArray[np.float64]
FOREGROUND, BACKGROUND = 0.5, 0.1
ERROR_TYPES: tuple[str, ...] = ('Cls', 'Loc', 'Both', 'Dupe', 'Bkg', 'Miss')
"""Right place, wrong class; right class, wrong place (IoU .1 - .5); both wrong; a second box of a found object; on
nothing; an object that no detection explains."""


@dataclass(frozen=True)
class BoxErrors:
    """Error table at IoU 0.5.

    Attributes:
        counts: error type -> (C,) int64: detections by predicted class; 'Miss' by the class of the object.
        delta_ap: error type -> (C,) AP50 won if all errors of that type were mended and no other; NaN without objects.
        ap: (C,) AP50 as it is.
    """

    counts: dict[str, NDArray[np.int64]]
    delta_ap: dict[str, Floats]
    ap: Floats


@dataclass
class _Found:
    """All detections: score, class, verdict, error type, and the object (global number, -1 = none) it could be."""

    score: Floats
    label: NDArray[np.int64]
    flag: Flags
    error: NDArray[np.int64]
    target: NDArray[np.int64]


def box_errors(
    detections: Sequence[ImageDetections], objects: Sequence[ImageObjects], num_classes: int, *, max_dets: int = 100
) -> BoxErrors:
    """Assign each false alarm and each lost object one error type, and mend one type at a time.

    Mending: Cls and Loc - the best such detection of an object that nothing else found becomes a hit of its class,
    the others vanish; Both, Dupe, Bkg - they vanish; Miss - the object is not asked for.
    """
    parts, labels, hit, offset = [], [], [], 0
    for found, truth in zip(detections, objects):
        part, matched = _image_errors(found, truth, num_classes, max_dets, offset)
        parts.append(part)
        labels.append(np.where(truth.ignored, -1, truth.labels))
        hit.append(matched)
        offset += len(truth.labels)
    if not parts:
        raise ValueError('box_errors: there is no image.')
    every = _Found(*(np.concatenate([getattr(p, name) for p in parts]) for name in _Found.__dataclass_fields__))
    return _summary(every, np.concatenate(labels), np.concatenate(hit), num_classes)


def _image_errors(
    found: ImageDetections, truth: ImageObjects, num_classes: int, max_dets: int, offset: int
) -> tuple[_Found, NDArray[np.bool_]]:
    """The detections of one image with their error, and which objects were found."""
    keep = np.concatenate(
        [np.flatnonzero(found.labels == c)[np.argsort(-found.scores[found.labels == c], kind='stable')][:max_dets]
         for c in range(num_classes)]
    ).astype(np.int64)  # fmt: skip
    label, score = found.labels[keep], found.scores[keep].astype(np.float64)
    overlaps = box_iou(found.boxes[keep], truth.boxes, crowd=truth.ignored)
    same = label[:, None] == truth.labels[None]
    flags = np.zeros(len(keep), dtype=np.int8)
    matched = np.zeros(len(truth.labels), dtype=bool)
    for c in np.unique(label):
        rows, columns = np.flatnonzero(label == c), np.flatnonzero(truth.labels == c)
        ignored = truth.ignored[columns]
        flags[rows] = match_boxes(overlaps[np.ix_(rows, columns)], ignored, np.array([FOREGROUND]))[0]
        matched[columns[~ignored]] = _taken(overlaps[np.ix_(rows, columns[~ignored])], flags[rows])
    real = ~truth.ignored[None]
    own, other = np.where(same & real, overlaps, 0.0), np.where(~same & real, overlaps, 0.0)
    best_own, best_other = own.max(axis=1, initial=0.0), other.max(axis=1, initial=0.0)
    error = np.full(len(keep), ERROR_TYPES.index('Both'))
    error[np.maximum(best_own, best_other) < BACKGROUND] = ERROR_TYPES.index('Bkg')
    error[best_own >= FOREGROUND] = ERROR_TYPES.index('Dupe')
    is_cls = (best_other >= FOREGROUND) & (best_own < FOREGROUND)
    error[is_cls] = ERROR_TYPES.index('Cls')
    is_loc = (best_own >= BACKGROUND) & (best_own < FOREGROUND)
    error[is_loc] = ERROR_TYPES.index('Loc')
    error[flags != FALSE] = -1
    target = np.full(len(keep), -1, dtype=np.int64)
    if len(truth.labels):
        target[is_cls] = other[is_cls].argmax(axis=1) + offset
        target[is_loc] = own[is_loc].argmax(axis=1) + offset
    return _Found(score, label, flags, error, target), matched


def _taken(overlaps: Floats, flags: Flags) -> NDArray[np.bool_]:
    """Which objects the matched detections took; repeats the greedy choice."""
    taken = np.zeros(overlaps.shape[1], dtype=bool)
    for row in np.flatnonzero(flags == TRUE):
        candidates = np.where(taken, -1.0, overlaps[row])
        taken[candidates.size - 1 - candidates[::-1].argmax()] = True
    return taken


def _summary(every: _Found, labels: NDArray[np.int64], hit: NDArray[np.bool_], num_classes: int) -> BoxErrors:
    """Counts and what mending each type wins."""
    objects = np.bincount(labels[labels >= 0], minlength=num_classes)
    code = {name: index for index, name in enumerate(ERROR_TYPES)}
    explained = np.zeros(labels.size, dtype=bool)
    mendable = np.isin(every.error, (code['Cls'], code['Loc']))
    explained[every.target[mendable]] = True
    lost = (labels >= 0) & ~hit & ~explained
    counts = {name: np.bincount(every.label[every.error == code[name]], minlength=num_classes) for name in ERROR_TYPES}
    counts['Miss'] = np.bincount(labels[lost], minlength=num_classes)
    plain = _ap(every.score, every.label, every.flag, objects)
    delta = {}
    for name in ERROR_TYPES:
        if name == 'Miss':
            mended = _ap(every.score, every.label, every.flag, objects - counts['Miss'])
            mended = np.where((objects > 0) & np.isnan(mended), 1.0, mended)  # every object of the class was lost
        elif name in ('Cls', 'Loc'):
            mended = _mend(every, code[name], labels, hit, objects)
        else:
            keep = every.error != code[name]
            mended = _ap(every.score[keep], every.label[keep], every.flag[keep], objects)
        delta[name] = np.maximum(mended - plain, 0.0)
    return BoxErrors(counts, delta, plain)


def _mend(
    every: _Found, code: int, labels: NDArray[np.int64], hit: NDArray[np.bool_], objects: NDArray[np.int64]
) -> Floats:
    """AP with the errors of one type turned into hits (once per object not found otherwise) or taken out."""
    keep = every.error != code
    label, flag = every.label.copy(), every.flag.copy()
    taken = hit.copy()
    wrong = np.flatnonzero(~keep)
    for row in wrong[np.argsort(-every.score[wrong], kind='stable')]:
        target = every.target[row]
        if not taken[target]:
            taken[target] = keep[row] = True
            label[row], flag[row] = labels[target], TRUE
    return _ap(every.score[keep], label[keep], flag[keep], objects)


def _ap(score: Floats, label: NDArray[np.int64], flag: Flags, objects: NDArray[np.int64]) -> Floats:
    """AP50 per class."""
    return np.array(
        [average_precision(score[label == c], flag[None, label == c], int(n))[0] for c, n in enumerate(objects)]
    )
