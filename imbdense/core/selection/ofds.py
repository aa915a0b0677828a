"""OFDS: choose images by the objects in them, rarest class first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.selection.knn_verifier import KNNVerifier
from imbdense.core.selection.minutes import whole_images
from imbdense.core.selection.object_pool import ObjectPool
from imbdense.core.selection.ofds_report import report
from imbdense.core.selection.ofds_rounds import ClassRounds, Spending
from imbdense.core.selection.quotas import ORDERS
from imbdense.core.selection.selection import Choice
from imbdense.core.selection.selector import Selector, Task
from imbdense.core.selection.trusted import TrustedObjects, trusted_objects

MINUTES_PER_OBJECT = 0.2
COSTS = (None, 'img_cost', 'objects')
KMEANS_OPTIONS = ('max_iter', 'tol', 'spherical', 'backend', 'chunk_rows')
DEFAULT_VERIFIER = KNNVerifier()

Cost = Literal['img_cost', 'objects']


class OFDS(Selector):
    """Object-focused data selection: images for objects that nothing labelled shows yet, rare classes first.

    1. *Trusted objects* (:func:`~imbdense.core.selection.trusted.trusted_objects`): score, duplicates, neighbours.
    2. Classes by ascending number n_c of them. Class j of J gets ``q = ceil(left / (J - j))`` images.
    3. Its objects are clustered into as few clusters as give q without an object in a labelled or chosen image
       (:func:`~imbdense.core.selection.uncovered_clusters.plan_clusters`). Each of these, largest first, gives the
       image of the object nearest to its centroid. Fewer than q images: again with what is missing.
    4. What is left goes round again over the classes that still have images; then k-centre on image features, or
       random images.

    ``report``: per class the objects after each filter, quota, images added, K, covered clusters; missing classes; the
    images that serve most classes. Deterministic: k-means is seeded by (seed, class name, K), so the order of the class
    list only breaks ties. A larger budget need not contain a smaller one; ``selected`` makes it incremental.

    Memory: the features of one class at a time, of which up to 512 MB are kept and the rest is read again.

    Args:
        score_thr: least score of a proposal, one number or one per class.
        adaptive_tau: lower it (to .15) for classes with too few objects.
        verify: filter by neighbours, ``None`` = none.
        kmeans: options of :func:`~imbdense.core.selection.kmeans.kmeans` (``max_iter``, ...).
        order: 'rarest_first'; 'frequent_first' and 'joint' (one clustering of all classes) to compare with.
        cost: ``None`` = the budget is a number of images. Else it is minutes per image: 'img_cost' of the pool, or
            'objects' = 1 + 0.2 per proposal. Then an image is affordable if it costs at most what is left, and of a
            cluster the object with the least distance * (1 + cost_weight * cost / median cost) is taken.
        cost_weight: see there, >= 0.
        max_repeat: how often a class tries again in one round.
        normalize: L2-normalise features before clustering; objects with a zero feature are then left out.

    Raises:
        ValueError: an unknown name, a threshold per class that does not fit the pool, or ``cost='img_cost'`` for a
            pool without.

    Source: after Popp et al., Object-Focused Data Selection for Dense Prediction Tasks, 2024 (arXiv 2412.10032). The
    stages are the paper's; numbers and search are a reconstruction, see docs/methods/ofds.md.
    """

    card = 'ofds'
    tasks = ('segmentation', 'detection')

    def __init__(
        self,
        score_thr: float | Sequence[float] = 0.3,
        adaptive_tau: bool = True,
        verify: KNNVerifier | None = DEFAULT_VERIFIER,
        kmeans: dict[str, Any] | None = None,
        order: str = 'rarest_first',
        cost: Cost | None = None,
        cost_weight: float = 0.25,
        max_repeat: int = 4,
        normalize: bool = True,
    ) -> None:
        name = type(self).__name__
        for value in score_thr if isinstance(score_thr, Sequence) else (score_thr,):
            check_number('score_thr', value, low=0.0, high=1.0, owner=name)
        self.score_thr, self.adaptive_tau, self.verify = score_thr, bool(adaptive_tau), verify
        self.kmeans = {'max_iter': 25, **(kmeans or {})}
        for option in self.kmeans:
            check_choice('an option of kmeans', option, KMEANS_OPTIONS, owner=name)
        self.order = check_choice('order', order, ORDERS, owner=name)
        self.cost = check_choice('cost', cost, COSTS, owner=name)
        self.cost_weight = check_number('cost_weight', cost_weight, low=0.0, owner=name)
        self.max_repeat = check_integer('max_repeat', max_repeat, low=0, owner=name)
        self.normalize = bool(normalize)

    @property
    def counts_minutes(self) -> bool:  # type: ignore[override]
        """With ``cost``."""
        return self.cost is not None

    def image_costs(self, pool: ObjectPool) -> NDArray[np.float64]:
        """(M,) minutes of every image."""
        if self.cost == 'objects':
            return 1.0 + MINUTES_PER_OBJECT * np.diff(pool.starts)
        if self.cost == 'img_cost' and pool.img_cost is None:
            raise ValueError("OFDS: cost='img_cost' needs a pool with img_cost. Use cost='objects', or None.")
        return super().image_costs(pool)

    @property
    def basis(self) -> str:
        """What the filters leave."""
        return 'a trusted object'

    def choose(self, task: Task) -> Sequence[Choice]:
        """Trusted objects, rounds over the classes, k-centre for what is left."""
        pool = task.pool
        if isinstance(self.score_thr, Sequence) and len(self.score_thr) != len(pool.classes):
            raise ValueError(
                f'OFDS: score_thr holds {len(self.score_thr)} numbers, but the pool has {len(pool.classes)} classes.')
        spending = Spending.of(task, self.image_costs(pool) if self.counts_minutes else None)
        wanted = whole_images(spending.images / max(len(pool.classes), 1))
        trusted = trusted_objects(
            pool, wanted, score_thr=self.score_thr,
            adaptive_tau=self.adaptive_tau, verify=self.verify,
            keep_zero=not self.normalize and self.verify is None)
        rounds = ClassRounds(task, spending, self.kmeans, self.cost_weight, self.max_repeat, self.normalize)
        rounds.serve(*self._groups(pool, trusted), 'rarest_first' if self.order == 'joint' else self.order)
        if self.counts_minutes:
            task.shortfall = 'the minutes left pay for no image that shows a new kind of trusted object'
        rounds.fill()
        task.report.update(report(pool, trusted, rounds))
        doubted = [name for name, kept, found in zip(pool.classes, *trusted.agreement()) if kept < found / 2]
        if doubted:
            task.notes.append(
                f'the neighbours contradict most objects of {_listed(doubted)}: they are wrong, or the features do '
                f'not tell these classes apart (then another layer, or verify=None).')
        missing = [name for name, count in zip(pool.classes, trusted.counts) if not count]
        if missing:
            task.notes.append(f'no proposal of {_listed(missing)} can be trusted: no image is chosen for them. Search '
                              f'such images by hand, or lower score_thr.')
        if trusted.dropped_features:
            task.notes.append(f'{trusted.dropped_features} objects have a feature that is not finite or all zero.')
        return rounds.choices

    def _groups(self, pool: ObjectPool, trusted: TrustedObjects) -> tuple[list[str], list[NDArray[np.int64]]]:
        """(name, trusted rows) of what chooses: the classes, or all of them together."""
        if self.order == 'joint':
            return ['joint'], [trusted.rows]
        classes = pool.obj_class[trusted.rows]
        return list(pool.classes), [trusted.rows[classes == klass] for klass in range(len(pool.classes))]

    def options(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().options(), 'verify': None if self.verify is None else self.verify.options()}


def _listed(names: Sequence[str], most: int = 10) -> str:
    """The names, of many the first."""
    return ', '.join(names[:most]) + (f' and {len(names) - most} more' if len(names) > most else '')
