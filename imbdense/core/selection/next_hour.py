"""What do the next minutes of labelling buy, class by class?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.selection.class_outlook import ClassOutlook
from imbdense.core.selection.expected_coverage import Shows, greedy_coverage
from imbdense.core.selection.object_pool import ObjectPool
from imbdense.core.selection.proposal_quality import LabelledBatch, ProposalQuality

SAMPLES = 2000

Interval = tuple[float, float, float]


@dataclass(frozen=True)
class ClassWorth:
    """One row of the table; intervals are (mean, 5 %, 95 %).

    Attributes:
        labelled: objects of the class that people have marked.
        precision, recall: of the trusted proposals.
        modes: kinds of objects of the class in the pool. seen: expected number that a labelled image shows.
        images: to label for this class alone, in order. minutes: what they cost.
        new_modes: that are seen for the first time when these images are labelled.
        per_minute: the same, divided by the minutes.
    """

    name: str
    labelled: int
    precision: Interval
    recall: Interval
    modes: int
    seen: float
    images: tuple[int, ...]
    minutes: float
    new_modes: Interval
    per_minute: Interval


@dataclass(frozen=True)
class NextHour:
    """The table, and the images that serve all classes together best.

    Attributes:
        classes: in the order of the pool.
        images: for all classes together, in order. gains: expected new modes of each.
        minutes: what they cost.
    """

    classes: Sequence[ClassWorth]
    images: tuple[int, ...]
    gains: tuple[float, ...]
    minutes: float

    def to_dict(self, image_ids: Sequence[str]) -> dict[str, Any]:
        """Plain data, images by name."""
        rows = [{**asdict(row), 'images': [image_ids[i] for i in row.images]} for row in self.classes]
        return {'classes': rows, 'images': [image_ids[i] for i in self.images], 'gains': list(self.gains),
                'minutes': self.minutes}


def next_hour(
    pool: ObjectPool,
    trusted: NDArray[np.int64],
    batch: LabelledBatch,
    *,
    minutes: float = 60.0,
    seed: int = 0,
    max_modes: int = 20,
    normalize: bool = True,
    costs: NDArray[np.float64] | None = None,
) -> NextHour:
    """Expected new modes per class and minute, with an interval, after a first labelled batch.

    A *mode* is a cluster of the trusted objects of a class (:func:`~imbdense.core.selection.modes.find_modes`). What
    was labelled gives Beta posteriors of precision (per class and score bin) and recall (per class), see
    :class:`ProposalQuality`. For each class the images are chosen by lazy greedy on the expected number of modes that
    they show for the first time, an object counting with its expected precision; then what they bring is drawn 2 000
    times: precisions and recall from their posteriors, each object right or not, objects that no proposal found, and
    modes that such objects may have shown already (:class:`ClassOutlook`).

    The interval holds that uncertainty, not that of the modes themselves: other features give other modes.

    Args:
        pool, trusted: the proposals that count, see :func:`~imbdense.core.selection.trusted.trusted_objects`.
        batch: what was labelled.
        minutes: to spend, on one class at a time and on all together.
        costs: (M,) minutes per image; ``None`` = ``img_cost`` of the pool, or 1.

    Deterministic in ``seed``. Time: :func:`find_modes` of every class.
    """
    quality = ProposalQuality(pool, batch)
    if costs is None:
        costs = np.ones(pool.num_images) if pool.img_cost is None else pool.img_cost.astype(np.float64)
    outlooks = [
        ClassOutlook(pool, trusted, batch, quality, klass, max_modes=max_modes, normalize=normalize, seed=seed)
        for klass in range(len(pool.classes))
    ]
    rows = [_worth(outlook, quality, costs, minutes, seed) for outlook in outlooks]
    images, gains = _together(outlooks, costs, minutes, pool.num_images)
    return NextHour(rows, tuple(images), tuple(gains.tolist()), float(costs[images].sum()))


def _worth(
    outlook: ClassOutlook, quality: ProposalQuality, costs: NDArray[np.float64], minutes: float, seed: int
) -> ClassWorth:
    """The row of one class."""
    images, _ = greedy_coverage(outlook.shows, outlook.unseen, costs, minutes)
    spent = float(costs[images].sum())
    drawn = outlook.draw_new_modes(images, SAMPLES, np.random.default_rng([seed, outlook.klass]))
    low, high = np.quantile(drawn, [0.05, 0.95], method='inverted_cdf')
    new = (float(drawn.mean()), float(low), float(high))
    per_minute = tuple(value / spent if spent else 0.0 for value in new)
    klass = outlook.klass
    return ClassWorth(
        outlook.pool.classes[klass], int(outlook.batch.objects[klass]), quality.precision_of(klass),
        quality.recall_of(klass), outlook.modes.count, float((1 - outlook.unseen).sum()), tuple(images), spent, new,
        (per_minute[0], per_minute[1], per_minute[2]))


def _together(
    outlooks: Sequence[ClassOutlook], costs: NDArray[np.float64], minutes: float, num_images: int
) -> tuple[list[int], NDArray[np.float64]]:
    """Lazy greedy on the modes of all classes."""
    offsets = np.cumsum([0, *(outlook.modes.count for outlook in outlooks)])
    shows = Shows.of(
        np.concatenate([outlook.shows.image for outlook in outlooks]),
        np.concatenate([outlook.shows.mode + offset for outlook, offset in zip(outlooks, offsets)]),
        np.concatenate([outlook.shows.chance for outlook in outlooks]), num_images)
    return greedy_coverage(shows, np.concatenate([outlook.unseen for outlook in outlooks]), costs, minutes)
