"""The filters of a ReDB round that need no model: thresholds, and the thinning of ordinary objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.pseudo_label import PseudoLabeler, inverse_density_subsample
from imbdense.data.outputs.store import OutputStore
from imbdense.data.pseudo import FilterTable
from imbdense.mm.pseudo_label.boxes import STEPS, sort_boxes
from imbdense.mm.pseudo_label.outputs import ImageFile, Record, readable


@dataclass
class JudgedImage:
    """An image: its record, status of its boxes (1 positive, -1 ignored, 0 dropped), and which positive ones are
    accepted by the examination and which go into the bank."""

    image: ImageFile
    record: Record
    status: NDArray[np.int8]
    accepted: NDArray[np.bool_]
    banked: NDArray[np.bool_]


def judge(
    store: OutputStore, images: Sequence[ImageFile], rule: PseudoLabeler, min_score: float, min_size: float,
    sides: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> tuple[list[JudgedImage], NDArray[np.int64]]:  # fmt: skip
    """Every readable image sorted by the rule, and the counts (5, C) of the filters so far.

    ``sides`` gives the sizes of boxes that ``min_size`` is compared with.
    """
    classes = len(store.manifest['classes'])
    steps, judged = np.zeros((len(STEPS), classes), np.int64), []
    for image, record in readable(store, images):
        large = (sides(record['boxes']) >= min_size).all(axis=1)
        status, filters = sort_boxes(record, rule, min_score, large)
        for step, mask in enumerate(filters):
            steps[step] += np.bincount(record['labels'][mask], minlength=classes)
        judged.append(JudgedImage(image, record, status, status == 1, status == 1))
    return judged, steps


def thin_and_count(
    classes: Sequence[str], steps: NDArray[np.int64], judged: list[JudgedImage], examined: bool,
    rates: Mapping[str, float], seed: int,
) -> FilterTable:  # fmt: skip
    """Thin the accepted boxes of the classes in ``rates``; the table of all filters."""
    table = FilterTable(classes, 'boxes', steps[0])
    for name, counts in zip(STEPS[1:], steps[1:]):
        table.add(name, counts)
    if examined:
        table.add('examination', _per_class(judged, 'accepted', len(classes)))
    for one in judged:
        one.banked = one.accepted.copy()
    for label, name in enumerate(classes):
        if name in rates:
            _thin(judged, label, rates[name], (seed, label))
    if rates:
        table.add('diversity', _per_class(judged, 'banked', len(classes)))
    return table


def _thin(judged: list[JudgedImage], label: int, rate: float, seed: tuple[int, int]) -> None:
    """Keep floor(n / rate) boxes of a class in the bank, the unusual ones with the larger chance."""
    places = [(one, box) for one in judged for box in np.flatnonzero(one.accepted & (one.record['labels'] == label))]
    counts = [one.record['overlap_count'][box] for one, box in places]
    kept = set(inverse_density_subsample(counts, rate, seed).tolist())
    for number, (one, box) in enumerate(places):
        one.banked[box] = number in kept


def _per_class(judged: list[JudgedImage], name: str, classes: int) -> NDArray[np.int64]:
    """(C,) boxes marked in an attribute."""
    labels = [one.record['labels'][getattr(one, name)] for one in judged]
    return np.bincount(np.concatenate([np.zeros(0, np.int64), *labels]), minlength=classes)
