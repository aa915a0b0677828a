"""Memory ensemble: pseudo-labels of one round are merged with those of the rounds before.

Yang et al.: ST3D: Self-training for Unsupervised Domain Adaptation on 3D Object Detection. CVPR 2021. ReDB leaves it
off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.overlaps import box_iou
from imbdense.core.pseudo_label.arrays import to_numpy

Floats = NDArray[np.float64]
MATCHINGS = ('consistency', 'bipartite', 'nms')
FIELDS = ('boxes', 'scores', 'labels', 'counters')


@dataclass(frozen=True)
class RememberedBoxes:
    """Pseudo-labels of one image.

    Attributes:
        boxes: (n, D) float64. scores: (n,) float64.
        labels: (n,) int64, class 1, 2, ...; negative = in the band of scores that is ignored.
        counters: (n,) int64, rounds in a row in which the box was not predicted.
    """

    boxes: Floats
    scores: Floats
    labels: NDArray[np.int64]
    counters: NDArray[np.int64]

    @classmethod
    def of(
        cls, boxes: ArrayLike, scores: ArrayLike, labels: ArrayLike, counters: ArrayLike | None = None
    ) -> RememberedBoxes:
        """Check and convert; counters start at 0.

        Raises:
            ValueError: lengths disagree, or a label is 0 (classes count from 1, so that a sign can mark them).
        """
        score, label = to_numpy(scores).astype(np.float64), to_numpy(labels).astype(np.int64)
        box = to_numpy(boxes).astype(np.float64)
        box = box.reshape(0, 4) if box.size == 0 and box.ndim != 2 else box
        count = np.zeros(label.size, dtype=np.int64) if counters is None else to_numpy(counters).astype(np.int64)
        if box.ndim != 2 or not len(box) == score.size == label.size == count.size:
            raise ValueError(
                f'there must be one score, label and counter per box, but there are boxes of shape {box.shape}, '
                f'{score.size} scores, {label.size} labels and {count.size} counters.'
            )
        if (label == 0).any():
            raise ValueError('labels count from 1 (negative: ignored), but a label is 0. Add one to class indices.')
        return cls(box, score, label, count)

    def __len__(self) -> int:
        """Boxes."""
        return self.scores.size

    def take(self, index: NDArray[Any]) -> RememberedBoxes:
        """Those at ``index`` (integers or bool)."""
        return RememberedBoxes(*(getattr(self, name)[index] for name in FIELDS))


class MemoryEnsemble:
    """Merges the pseudo-labels of every image from round to round.

    Old boxes A and new ones B are compared within a class (the sign of a label does not matter):

    * 'consistency': each a with the b it overlaps most; several a may share a b. 'bipartite': one to one with the
      largest sum of overlaps. Where they overlap by at least ``iou_thr``, the one with the higher score stays (the old
      one of equals; or with ``average`` their mean weighted by score) and its counter is 0.
    * 'nms': A and B together, by falling score; what overlaps a better one by more than ``iou_thr`` goes. An a that
      stays has been seen again when it overlaps some b by at least ``iou_thr``.
    * An a that was not seen again counts one more. From ``ignore_after`` on it is ignored in training, from
      ``remove_after`` on it is gone: 0, 1, 2 (ignored), removed. It returns to use when it is seen again.
    * A b that belongs to no a is added with counter 0: 'consistency' leaves out a b that overlaps some a by
      ``iou_thr``, even where that a has a better b (the release does so: a second box on one object is no new one);
      'bipartite' adds every b without a partner. Without A the result is B; without B every a counts one more.

    The order is A, then the added b; 'nms' keeps it, too.

    State: the boxes of every image, :meth:`state_dict`, plain tensors. Every rank remembers the images it updates.

    Args:
        matching: one of :data:`MATCHINGS`.
        iou_thr: in (0, 1]; published: 0.1.
        ignore_after, remove_after: counters, 1 <= ignore_after <= remove_after; published: 2 and 3.
        average: box = (s_a a + s_b b) / (s_a + s_b), and the score likewise; the class and sign are those of the
            higher score. Not with 'nms'.
        yaw_column: which column of the boxes is an angle in radians; it is averaged on the circle, since the mean of
            179 and -179 degrees is not 0.
        iou: numpy boxes (n, D) and (m, D) -> (n, m), numpy or torch; default axis-parallel boxes x1, y1, x2, y2.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        matching: str = 'consistency',
        *,
        iou_thr: float = 0.1,
        ignore_after: int = 2,
        remove_after: int = 3,
        average: bool = False,
        yaw_column: int | None = None,
        iou: Callable[[Any, Any], Any] = box_iou,
    ) -> None:
        owner = 'MemoryEnsemble'
        self.matching = check_choice('matching', matching, MATCHINGS, owner=owner)
        self.iou_thr = check_number('iou_thr', iou_thr, low=0.0, high=1.0, low_open=True, owner=owner)
        self.ignore_after = check_integer('ignore_after', ignore_after, low=1, owner=owner)
        self.remove_after = check_integer('remove_after', remove_after, low=ignore_after, owner=owner)
        if average and matching == 'nms':
            raise ValueError("MemoryEnsemble: average=True needs pairs; use matching='consistency' or 'bipartite'.")
        self.average, self.yaw_column, self.iou = average, yaw_column, iou
        self.frames: dict[str, RememberedBoxes] = {}

    def update(self, frame: str, boxes: ArrayLike, scores: ArrayLike, labels: ArrayLike) -> RememberedBoxes:
        """Merge the predictions of one image into its memory and return that; see :meth:`training_labels`.

        Args:
            frame: name of the image. boxes: (n, D), n may be 0. scores: (n,). labels: (n,), see
                :class:`RememberedBoxes`.
        """
        new = RememberedBoxes.of(boxes, scores, labels)
        old = self.frames.get(frame)
        self.frames[frame] = new if old is None else self.merge(old, new)
        return self.frames[frame]

    def training_labels(self, memory: RememberedBoxes) -> NDArray[np.int64]:
        """Labels (n,) int64 to train with: minus the class where the counter says ignore."""
        ignored = memory.counters >= self.ignore_after
        return np.where(ignored, -np.abs(memory.labels), memory.labels)

    def merge(self, old: RememberedBoxes, new: RememberedBoxes) -> RememberedBoxes:
        """Merge without touching the state; both may be empty."""
        if len(old) == 0:
            return new
        if len(new) == 0:
            aged = _counted(old, np.zeros(len(old), dtype=bool))
            return aged.take(aged.counters < self.remove_after)
        overlaps = self._overlaps(old, new)
        if self.matching == 'nms':
            seen = overlaps.max(axis=1, initial=0.0) >= self.iou_thr
            merged = _join(_counted(old, seen), new)
            merged = merged.take(self._suppress(merged))
        else:
            rows, columns = self._pairs(overlaps)
            seen = np.isin(np.arange(len(old)), rows)
            added = ~np.isin(np.arange(len(new)), columns)
            if self.matching == 'consistency':
                added = overlaps.max(axis=0) < self.iou_thr
            merged = _join(self._matched(_counted(old, seen), new, rows, columns), new.take(added))
        return merged.take(merged.counters < self.remove_after)

    def _overlaps(self, first: RememberedBoxes, second: RememberedBoxes) -> Floats:
        """IoU, 0 between classes."""
        table = to_numpy(self.iou(first.boxes, second.boxes)).astype(np.float64)
        if table.shape != (len(first), len(second)):
            raise ValueError(
                f'MemoryEnsemble: iou must return {(len(first), len(second))}, but returned {table.shape}. Is it made '
                f'for boxes of {first.boxes.shape[1]} numbers?'
            )
        return np.where(np.abs(first.labels)[:, None] == np.abs(second.labels)[None], table, 0.0)

    def _pairs(self, overlaps: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices into A and B of what belongs together."""
        if self.matching == 'bipartite':
            rows, columns = linear_sum_assignment(-overlaps)
        else:
            rows, columns = np.arange(len(overlaps)), overlaps.argmax(axis=1)
        enough = overlaps[rows, columns] >= self.iou_thr
        return rows[enough].astype(np.int64), columns[enough].astype(np.int64)

    def _matched(
        self, old: RememberedBoxes, new: RememberedBoxes, rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> RememberedBoxes:
        """A with the better or the mean of each pair in the place of its a."""
        boxes, scores, labels = old.boxes.copy(), old.scores.copy(), old.labels.copy()
        mine, other = old.take(rows), new.take(columns)
        better = other.scores > mine.scores
        labels[rows] = np.where(better, other.labels, mine.labels)
        if self.average:
            boxes[rows], scores[rows] = self._mean(mine, other)
        else:
            boxes[rows] = np.where(better[:, None], other.boxes, mine.boxes)
            scores[rows] = np.maximum(mine.scores, other.scores)
        return RememberedBoxes(boxes, scores, labels, old.counters)

    def _mean(self, mine: RememberedBoxes, other: RememberedBoxes) -> tuple[Floats, Floats]:
        """Boxes and scores weighted by score; equally where both scores are 0."""
        total = mine.scores + other.scores
        share = np.divide(mine.scores, total, out=np.full_like(total, 0.5), where=total > 0)
        boxes: Floats = share[:, None] * mine.boxes + (1 - share)[:, None] * other.boxes
        if self.yaw_column is not None:
            first, second = mine.boxes[:, self.yaw_column], other.boxes[:, self.yaw_column]
            boxes[:, self.yaw_column] = np.angle(share * np.exp(1j * first) + (1 - share) * np.exp(1j * second))
        return boxes, share * mine.scores + (1 - share) * other.scores

    def _suppress(self, both: RememberedBoxes) -> NDArray[np.int64]:
        """Indices that survive non-maximum suppression within the classes, rising."""
        overlaps = self._overlaps(both, both)
        kept: list[int] = []
        for index in np.argsort(-both.scores, kind='stable').tolist():
            if not (overlaps[index, kept] > self.iou_thr).any():
                kept.append(index)
        return np.array(sorted(kept), dtype=np.int64)

    def state_dict(self) -> dict[str, Any]:
        """Return the memory of all images: their names, their sizes and the fields one after the other, as tensors."""
        memories = list(self.frames.values())
        sizes = torch.tensor([len(memory) for memory in memories], dtype=torch.int64)
        state: dict[str, Any] = {'frames': list(self.frames), 'sizes': sizes}
        filled = [memory for memory in memories if len(memory)] or [RememberedBoxes.of([], [], [])]
        for name in FIELDS:
            state[name] = torch.from_numpy(np.concatenate([getattr(memory, name) for memory in filled]))
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replace the memory by that of :meth:`state_dict`.

        Raises:
            KeyError: a field is missing. ValueError: lengths disagree.
        """
        names, sizes = list(state['frames']), to_numpy(state['sizes']).astype(np.int64)
        if len(names) != sizes.size or int(sizes.sum()) != len(state['labels']):
            raise ValueError(
                f'MemoryEnsemble: the state names {len(names)} images, has {sizes.size} sizes of {sizes.sum()} boxes '
                f'and {len(state["labels"])} labels, which does not fit together. It was not written by state_dict().'
            )
        parts = [np.split(to_numpy(state[name]), np.cumsum(sizes)[:-1]) for name in FIELDS]
        self.frames = {name: RememberedBoxes.of(*row) for name, row in zip(names, zip(*parts))}


def _counted(old: RememberedBoxes, seen: NDArray[np.bool_]) -> RememberedBoxes:
    """A with its counters moved on."""
    return RememberedBoxes(old.boxes, old.scores, old.labels, np.where(seen, 0, old.counters + 1))


def _join(first: RememberedBoxes, second: RememberedBoxes) -> RememberedBoxes:
    """Both, one after the other."""
    return RememberedBoxes(*(np.concatenate([getattr(first, n), getattr(second, n)]) for n in FIELDS))
