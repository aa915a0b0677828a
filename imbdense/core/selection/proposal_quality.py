"""How right the proposals were where people have looked: precision and recall of each class, as distributions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.overlaps import box_iou
from imbdense.core.selection.object_pool import UNKNOWN_CLASS, ObjectPool

SCORE_BINS = (0.0, 0.5, 0.7, 0.9)
"""Lower ends of the score bins."""


@dataclass(frozen=True)
class LabelledBatch:
    """What labelling some images of a pool has shown.

    Attributes:
        images: indices into the pool, labelled completely.
        rows: the trusted objects in them.
        true_class: (len(rows),) the class of the labelled object under each, -1 = there is none.
        found: (C,) labelled objects that a trusted object of their class found.
        missed: (C,) labelled objects under no trusted object of any class.
        objects: (C,) labelled objects.
    """

    images: NDArray[np.int64]
    rows: NDArray[np.int64]
    true_class: NDArray[np.int64]
    found: NDArray[np.int64]
    missed: NDArray[np.int64]
    objects: NDArray[np.int64]


def match_batch(
    pool: ObjectPool,
    trusted: NDArray[np.int64],
    images: NDArray[np.int64],
    label_image: NDArray[np.int64],
    label_class: NDArray[np.int64],
    label_box: NDArray[np.float64],
    iou: float = 0.5,
) -> LabelledBatch:
    """Match the trusted objects of labelled images with what people have marked there.

    In each image the objects, best score first, take the labelled object with the largest IoU that is still free, if
    it is at least ``iou``: first among those of their own class, then, those that are left, among all classes.

    Args:
        pool, trusted: rows of the pool that count.
        images: indices of the labelled images, also those that hold no object.
        label_image, label_class, label_box: (n,), (n,), (n, 4) of the labelled objects; x1, y1, x2, y2 in pixels of
            the original image.

    Raises:
        ValueError: a labelled object lies in an image that is not in ``images``, or its class is not in the pool.
    """
    if not np.isin(label_image, images).all():
        raise ValueError('match_batch: label_image names an image that is not among the labelled images.')
    num_classes = len(pool.classes)
    if label_class.size and not (label_class.min() >= 0 and label_class.max() < num_classes):
        raise ValueError(f'match_batch: label_class must lie in [0, {num_classes}).')
    rows = trusted[np.isin(pool.obj_image[trusted], images)]
    true_class = np.full(len(rows), UNKNOWN_CLASS, dtype=np.int64)
    free = np.ones(len(label_class), dtype=bool)
    found = np.zeros(num_classes, dtype=np.int64)
    for image in images:
        mine, labels = np.flatnonzero(pool.obj_image[rows] == image), np.flatnonzero(label_image == image)
        if not (mine.size and labels.size):
            continue
        mine = mine[np.argsort(-pool.obj_score[rows[mine]], kind='stable')]
        overlap = box_iou(pool.obj_box[rows[mine]], label_box[labels])
        own = pool.obj_class[rows[mine]][:, None] == label_class[labels][None]
        for allowed in (own, np.ones_like(own)):
            for place in np.flatnonzero(true_class[mine] == UNKNOWN_CLASS):
                fits = np.where(allowed[place] & free[labels], overlap[place], -1.0)
                best = int(np.argmax(fits))
                if fits[best] >= iou:
                    free[labels[best]] = False
                    true_class[mine[place]] = label_class[labels[best]]
    right = true_class == pool.obj_class[rows]
    found += np.bincount(true_class[right], minlength=num_classes)
    missed = np.bincount(label_class[free], minlength=num_classes)
    objects = np.bincount(label_class, minlength=num_classes)
    return LabelledBatch(np.asarray(images, np.int64), rows, true_class, found, missed, objects)


class ProposalQuality:
    """Beta posteriors of precision, per class and score bin, and of recall, per class; flat priors.

    Precision of a trusted object of class c with a score in bin b: Beta(1 + right, 1 + wrong). Recall of class c, the
    share of its objects that a trusted object of class c finds: Beta(1 + found, 1 + not found).

    Args:
        pool: the proposals. batch: what was labelled.
        bins: lower ends of the score bins, ascending, the first 0.
    """

    def __init__(self, pool: ObjectPool, batch: LabelledBatch, bins: Sequence[float] = SCORE_BINS) -> None:
        shape = (len(pool.classes), len(bins))
        self.bins = np.asarray(bins, dtype=np.float64)
        claimed, place = pool.obj_class[batch.rows], self.bin_of(pool.obj_score[batch.rows])
        right = batch.true_class == claimed
        self.right, self.wrong = np.ones(shape), np.ones(shape)
        np.add.at(self.right, (claimed[right], place[right]), 1)
        np.add.at(self.wrong, (claimed[~right], place[~right]), 1)
        self.found, self.not_found = 1.0 + batch.found, 1.0 + batch.objects - batch.found

    def bin_of(self, scores: NDArray[np.float32]) -> NDArray[np.int64]:
        """The bin of each score."""
        return (np.searchsorted(self.bins, np.asarray(scores, dtype=np.float64), side='right') - 1).clip(0)

    def precision(self, classes: NDArray[np.int32], scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n,) expected share of right ones among such objects: the weight of an object."""
        mean = self.right / (self.right + self.wrong)
        return mean[classes, self.bin_of(scores)]

    def draw_precision(self, klass: int, samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """(samples, bins)."""
        return rng.beta(self.right[klass], self.wrong[klass], (samples, len(self.bins)))

    def draw_recall(self, klass: int, samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """(samples,)."""
        return rng.beta(self.found[klass], self.not_found[klass], samples)

    def precision_of(self, klass: int) -> tuple[float, float, float]:
        """Mean and central 90 % of the precision of a class, all scores together."""
        right, wrong = self.right[klass] - 1, self.wrong[klass] - 1
        return beta_summary(1 + right.sum(), 1 + wrong.sum())

    def recall_of(self, klass: int) -> tuple[float, float, float]:
        """Mean and central 90 % of the recall of a class."""
        return beta_summary(self.found[klass], self.not_found[klass])


def beta_summary(first: float, second: float) -> tuple[float, float, float]:
    """Mean, 5 % and 95 % of Beta(first, second)."""
    from scipy.stats import beta

    low, high = beta.ppf([0.05, 0.95], first, second)
    return float(first / (first + second)), float(low), float(high)
