"""The rounds of OFDS over the classes: quota, clusters, images, until the budget is used."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.selection.feature_rows import FeatureRows
from imbdense.core.selection.k_center_greedy import KCenterGreedy
from imbdense.core.selection.kmeans import KMeansResult, kmeans
from imbdense.core.selection.minutes import slack, whole_images
from imbdense.core.selection.quotas import class_order, quota
from imbdense.core.selection.selection import Choice
from imbdense.core.selection.selector import Task
from imbdense.core.selection.uncovered_clusters import plan_clusters


@dataclass(frozen=True)
class Spending:
    """The budget, in images or in minutes.

    Attributes:
        budget: what may be spent. costs: (M,) of each image. typical: their median.
        whole: whether it is a number of images.
    """

    budget: float
    costs: NDArray[np.float64]
    typical: float
    whole: bool

    @classmethod
    def of(cls, task: Task, minutes: NDArray[np.float64] | None) -> Spending:
        """``minutes`` of each image, ``None`` = the budget is a number of images."""
        if minutes is None:
            return cls(float(task.budget), np.ones(task.pool.num_images), 1.0, True)
        return cls(task.minutes, minutes, float(np.median(minutes)), False)

    @property
    def images(self) -> float:
        """How many images of typical cost the budget pays for."""
        return self.budget / self.typical


class ClassRounds:
    """What is chosen so far, and what is left of the budget.

    Args:
        task: the pool and what is labelled. spending: the budget.
        options: of k-means. cost_weight, max_repeat, normalize: see :class:`imbdense.core.selection.OFDS`.

    Attributes:
        choices: in order. passes: one record per clustering, for the report.
    """

    def __init__(
        self, task: Task, spending: Spending, options: dict[str, Any], cost_weight: float, max_repeat: int,
        normalize: bool,
    ) -> None:
        self.task, self.options = task, options
        self.cost_weight, self.max_repeat, self.normalize = cost_weight, max_repeat, normalize
        self.whole, self.costs, self.typical = spending.whole, spending.costs, spending.typical
        self.slack = 0.0 if spending.whole else slack(spending.budget)
        self.taken = task.selected.copy()
        self.left = spending.budget
        self.choices: list[Choice] = []
        self.passes: list[dict[str, Any]] = []

    def serve(self, names: Sequence[str], rows: Sequence[NDArray[np.int64]], order: str) -> None:
        """Go over the classes, again and again while something is left that can be bought."""
        queue = class_order(np.array([len(own) for own in rows], dtype=np.int64), order)
        progress = True
        while progress:
            queue = [klass for klass in queue if self._affordable(rows[klass]).any()]
            before = len(self.choices)
            for place, klass in enumerate(queue):
                self._serve_class(names[klass], rows[klass], quota(self.left, len(queue) - place, self.whole))
            progress = len(self.choices) > before

    def fill(self) -> None:
        """Images by k-centre on image features, where there are some, for what no object speaks for; a note says so."""
        pool, free = self.task.pool, ~self.taken & (self.costs <= self.left + self.slack)
        if pool.img_feat is None or not free.any():
            return
        wanted = min(int(free.sum()), math.floor((self.left + self.slack) / self.costs[free].min()))
        found = KCenterGreedy(level='image')(pool, wanted, np.flatnonzero(self.taken), self.task.seed)
        before = len(self.choices)
        for choice in found.choices:
            payable = self.costs[choice.image] <= self.left + self.slack
            if choice.rule != 'fill' and payable:  # 'fill': its feature is not finite
                self._take(Choice(choice.image, choice.gain, 'k-centre fill'))
        if len(self.choices) > before:
            why = self.task.shortfall or 'no other image has a trusted object'
            self.task.notes.append(
                f'{len(self.choices) - before} images are chosen by k-centre on image features: {why}.')

    def _serve_class(self, name: str, rows: NDArray[np.int64], share: float) -> None:
        """Spend ``share`` on one class, in at most 1 + ``max_repeat`` passes."""
        goal = self.left - share
        for _ in range(1 + self.max_repeat):
            if self.left <= goal + self.slack or not self._affordable(rows).any():
                return
            before = len(self.choices)
            record: dict[str, Any] = {'class': name, 'quota': self.left - goal}
            for choice in self._proposals(name, rows, self.left - goal, record):
                self._take(choice)
                if self.left <= goal + self.slack:
                    break
            record['added'] = len(self.choices) - before
            self.passes.append(record)
            if not record['added']:
                return

    def _proposals(
        self, name: str, rows: NDArray[np.int64], share: float, record: dict[str, Any]
    ) -> Iterator[Choice]:
        """Choices for a class, made one by one so that each knows those before; fills in the record."""
        pool = self.task.pool
        images = pool.obj_image[rows]
        covered = self.taken[images]
        wanted = whole_images(share / self.typical)
        record['covered_objects'] = int(covered.sum())
        if len(np.unique(images[~covered])) <= wanted:
            record |= {'clusters': None, 'covered_clusters': None, 'kmeans_runs': 0}
            new = rows[~covered]
            for row in new[np.argsort(self.costs[pool.obj_image[new]], kind='stable')]:
                if self._affordable(np.array([row])).any():
                    yield Choice(int(pool.obj_image[row]), 1.0, 'every image', int(row), int(pool.obj_class[row]))
            return
        features = FeatureRows(pool.obj_feat, rows, self.normalize)
        plan = plan_clusters(lambda k: self._cluster(name, features, k), covered, wanted)
        record |= {'clusters': plan.num_clusters, 'covered_clusters': plan.covered, 'kmeans_runs': plan.runs}
        distances = np.sqrt(plan.result.distances)
        for cluster in plan.uncovered:
            members = np.flatnonzero(plan.result.labels == cluster)
            members = members[self._affordable(rows[members])]
            if members.size:
                price = 1 + self.cost_weight * self.costs[images[members]] / self.typical
                best = members[np.argmin(distances[members] * price)]
                yield Choice(int(images[best]), float((plan.result.labels == cluster).sum()), 'uncovered cluster',
                             int(rows[best]), int(pool.obj_class[rows[best]]), int(cluster))

    def _cluster(self, name: str, features: FeatureRows, num_clusters: int) -> KMeansResult:
        """k-means, seeded by (seed, class name, K)."""
        mixed = np.random.SeedSequence([self.task.seed, zlib.crc32(name.encode()), num_clusters])
        return kmeans(features, num_clusters, seed=int(mixed.generate_state(1)[0]), **self.options)

    def _affordable(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the image of each object is free and within what is left."""
        images = self.task.pool.obj_image[rows]
        return ~self.taken[images] & (self.costs[images] <= self.left + self.slack)

    def _take(self, choice: Choice) -> None:
        """Add an image."""
        self.choices.append(choice)
        self.taken[choice.image] = True
        self.left -= float(self.costs[choice.image])
