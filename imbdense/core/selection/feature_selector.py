"""What selectors that look at features share: which rows they see, and how rows become images."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_choice
from imbdense.core.selection.feature_rows import CHUNK_BYTES, FeatureRows
from imbdense.core.selection.object_pool import UNKNOWN_CLASS, ObjectPool
from imbdense.core.selection.selection import Choice
from imbdense.core.selection.selector import Selector, Task

Level = Literal['image', 'object', 'class_object']
LEVELS: tuple[str, ...] = ('image', 'object', 'class_object')


@dataclass(frozen=True)
class Pick:
    """One row a method takes.

    Attributes:
        row: row of the :class:`FeatureTable`.
        gain, rule, cluster: see :class:`Choice`.
    """

    row: int
    gain: float
    rule: str
    cluster: int = -1


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """The n rows a method chooses from.

    Attributes:
        features: the rows, of unit length where the selector normalises.
        image: (n,) int64, the image of each row.
        seeds: int64 rows that are labelled already, ascending; a method never picks them.
        budget: new images wanted.
        labelled: number of images labelled already; with 'class_object' those that own a row: an image without the
            class says nothing about it, and methods with a cluster per image make none for it.
        num_classes: C of the pool.
        task: generator, seed and notes.
    """

    features: FeatureRows
    image: NDArray[np.int64]
    seeds: NDArray[np.int64]
    budget: int
    labelled: int
    num_classes: int
    task: Task

    def __len__(self) -> int:
        """n."""
        return len(self.image)

    @property
    def free(self) -> NDArray[np.int64]:
        """The rows that may be picked, ascending."""
        return np.setdiff1d(np.arange(len(self)), self.seeds, assume_unique=True)


class FeatureSelector(Selector):
    """A selector that orders rows of features; images follow their rows.

    ``level='object'``: rows are the usable objects, an image is chosen when the first of its objects is picked, and
    picking goes on until enough images are found; all objects of labelled images count as labelled.
    ``level='image'``: rows are ``img_feat`` (images with a feature that is not finite are left to the random fill).
    ``level='class_object'``: the objects of one class after the other, fewest objects first, each with the share
    ceil(images still wanted / classes still to come), so that what a rare class cannot use goes to the others; images
    chosen for one class count as labelled for the next. One class is looked at at a time. Objects of unknown class
    are left out.

    Args:
        level: see above.
        normalize: compare directions: rows get unit length.
    """

    card = 'selectors'
    tasks = ('segmentation', 'detection')

    def __init__(self, level: Level = 'object', normalize: bool = True) -> None:
        self.level = check_choice('level', level, LEVELS, owner=type(self).__name__)
        self.normalize = normalize

    @property
    def needs_objects(self) -> bool:
        """Not on image features."""
        return self.level != 'image'

    @property
    def basis(self) -> str:
        """Of the level."""
        return {'image': 'a finite feature', 'object': 'a usable object',
                'class_object': 'a usable object of a known class'}[self.level]

    @property
    def prefix(self) -> bool:
        """Shares per class depend on the budget; otherwise it is for the method to say."""
        return self.greedy and self.level != 'class_object'

    @property
    def greedy(self) -> bool:
        """Whether :meth:`order` is the same for all budgets."""
        return False

    @abc.abstractmethod
    def order(self, table: FeatureTable) -> Iterator[Pick]:
        """Rows in the order a method takes them, none twice, no seed; read until the budget is met or it ends."""

    def choose(self, task: Task) -> Sequence[Choice]:
        """See :class:`Selector`."""
        if self.level == 'class_object':
            return self._class_by_class(task)
        return self._choose_among(task, self.row_numbers(task.pool), task.selected, task.budget)

    def row_numbers(self, pool: ObjectPool) -> NDArray[np.int64]:
        """Rows of ``obj_feat`` or ``img_feat`` that can be compared: usable ones, or where the pool does not say which
        are usable, those without NaN or infinity (one pass over the features)."""
        features, rows = pool.obj_feat, pool.usable_rows
        if self.level == 'image':
            features = image_features(pool, type(self).__name__)
            rows = np.arange(pool.num_images)
        elif pool.usable is not None:
            return rows
        step = max(1, CHUNK_BYTES // max(1, features.dtype.itemsize * features.shape[1]))
        finite = [np.isfinite(features[start : start + step]).all(axis=1) for start in range(0, len(rows), step)]
        return rows[np.concatenate([*finite, np.zeros(0, bool)])]

    def table(
        self, task: Task, rows: NDArray[np.int64], labelled: NDArray[np.bool_], budget: int
    ) -> FeatureTable:
        """The rows as a method sees them; ``labelled`` (M,) bool."""
        pool = task.pool
        source = pool.img_feat if self.level == 'image' else pool.obj_feat
        image = rows if self.level == 'image' else pool.obj_image[rows]
        everything = len(rows) == len(source)  # type: ignore[arg-type]
        features = FeatureRows(source, None if everything else rows, self.normalize)  # type: ignore[arg-type]
        seeds = np.flatnonzero(labelled[image])
        known = len(np.unique(image[seeds])) if self.level == 'class_object' else int(labelled.sum())
        return FeatureTable(features, image, seeds, budget, known, len(pool.classes), task)

    def choice(self, pool: ObjectPool, rows: NDArray[np.int64], table: FeatureTable, pick: Pick) -> Choice:
        """The image of a picked row, with the reason."""
        image = int(table.image[pick.row])
        if self.level == 'image':
            return Choice(image, pick.gain, pick.rule, cluster=pick.cluster)
        row = int(rows[pick.row])
        return Choice(image, pick.gain, pick.rule, row, int(pool.obj_class[row]), pick.cluster)

    def _choose_among(
        self, task: Task, rows: NDArray[np.int64], labelled: NDArray[np.bool_], budget: int
    ) -> list[Choice]:
        """Pick rows until ``budget`` images are found."""
        chosen: dict[int, Choice] = {}
        if len(rows) == 0 or budget == 0:
            return []
        table = self.table(task, rows, labelled, budget)
        if len(table.seeds) == len(table):
            return []
        for pick in self.order(table):
            choice = self.choice(task.pool, rows, table, pick)
            chosen.setdefault(choice.image, choice)
            if len(chosen) == budget:
                break
        return list(chosen.values())

    def _class_by_class(self, task: Task) -> list[Choice]:
        """Rarest class first, repeated while a round still finds images."""
        pool, labelled = task.pool, task.selected.copy()
        rows = self.row_numbers(pool)
        counts = np.bincount(pool.obj_class[rows] - UNKNOWN_CLASS, minlength=len(pool.classes) + 1)[1:]
        order = [int(c) for c in np.argsort(counts, kind='stable') if counts[c]]
        choices: list[Choice] = []
        found = True
        while found and len(choices) < task.budget:
            found = False
            for place, klass in enumerate(order):
                share = -(-(task.budget - len(choices)) // (len(order) - place))
                new = self._choose_among(task, rows[pool.obj_class[rows] == klass], labelled, share)
                labelled[[choice.image for choice in new]] = True
                choices += new
                found |= bool(new)
        return choices


def image_features(pool: ObjectPool, owner: str) -> NDArray[Any]:
    """(M, D') features of the images.

    Raises:
        ValueError: the pool has none; ``owner`` is named.
    """
    if pool.img_feat is None:
        raise ValueError(
            f"{owner}: level='image' needs img_feat, which this pool does not have. Build the pool with image "
            f"features, or use level='object'.")
    return pool.img_feat
