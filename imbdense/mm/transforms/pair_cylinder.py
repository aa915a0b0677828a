"""Transforms: vertical cylinders through both epochs of a pair, one to learn from or all to predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from mmcv.transforms.utils import cache_randomness
from mmengine.logging import MessageHub
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from imbdense.core.change3d import CropCentres, CylinderDraw, cylinder_grid
from imbdense.core.change3d.crop_centres import cylinder_index
from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.stats import ClassCounts
from imbdense.mm.class_counts import class_counts_of
from imbdense.mm.prior import HUB_COUNTS
from imbdense.mm.transforms.host_rng import host_generator
from imbdense.mm.transforms.pair_fields import PairTransform, take_pair
from imbdense.mm.transforms.point_prior import expected_point_amounts
from imbdense.registry import TRANSFORMS

UNIFORM = -1.0
"""Exponent with which every candidate is as likely."""


@TRANSFORMS.register_module()
class PairCylinderCrop(PairTransform):
    """Keep the points of both epochs in a vertical cylinder round a drawn centre.

    Candidates are the labelled points of epoch 2 on a grid of a tenth of the radius. ``center='rare'``: a class c is
    drawn among those present, proportional to n_c ** -tau, then one of its candidates; ``'uniform'``: every candidate
    is as likely. A crop in which either epoch has fewer than ``min_points`` points is rejected and drawn again, at most
    ten times; then the fullest of them is taken.

    n_c are, in this order: ``class_counts``; the counts of the training set when ``imbdense.ClassCountHook`` has
    published them; the candidates of the pair. What crops leave of the class shares goes to the prior ledger, so a loss
    with counted weights corrects the rest and not the whole again. The authors' code does both; for parity:
    ``ReweightedCELoss(scheme='sqrt', class_counts=..., force=True)``. Random numbers follow the host's seed.

    Args:
        radius: metres (Siamese KPConv: 50).
        center, tau: see above; tau = 0.5 is the authors' sqrt.
        min_points: see above.
        class_counts: n_c, one number per class, or the path of a ``class_counts.json``.

    Raises:
        ValueError: argument out of range, or a pair without any labelled point.
    """

    conformance_arguments = {'radius': 5.0}

    def __init__(
        self,
        radius: float,
        center: Literal['uniform', 'rare'] = 'rare',
        tau: float = 0.5,
        min_points: int = 32,
        class_counts: Sequence[float] | str | None = None,
    ) -> None:
        owner = 'PairCylinderCrop'
        self.radius = check_number('radius', radius, low=0.0, low_open=True, owner=owner)
        self.center = check_choice('center', center, ('uniform', 'rare'), owner=owner)
        self.tau = check_number('tau', tau, low=0.0, owner=owner)
        self.min_points = check_integer('min_points', min_points, low=0, owner=owner)
        self.class_counts = None if class_counts is None else class_counts_of(class_counts, 'pixels', owner).numpy()

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop one sample."""
        self.require(results, 'points', 'points_t1', 'gt_semantic')
        drawn = self.crop(results)
        return {**take_pair(results, drawn.index1, drawn.index2), 'crop_centre': drawn.centre}

    @cache_randomness
    def crop(self, results: dict[str, Any]) -> CylinderDraw:
        """The crop of one sample."""
        return self.draw_in(results, host_generator(), self.known_counts())

    def draw_in(
        self, results: dict[str, Any], rng: np.random.Generator, counts: NDArray[np.float64] | None
    ) -> CylinderDraw:
        """A crop drawn from ``rng``."""
        tau, given = (self.tau, counts) if self.center == 'rare' else (UNIFORM, None)
        try:
            centres = CropCentres(results['points'], results['gt_semantic'], self.radius / 10, tau, given)
        except ValueError as error:
            raise ValueError(f'PairCylinderCrop: {results.get("points_path", "a pair")}: {error}') from None
        trees = (cKDTree(results['points_t1'][:, :2]), cKDTree(results['points'][:, :2]))
        return CylinderDraw.draw(centres, *trees, self.radius, rng, min_points=self.min_points)

    def known_counts(self) -> NDArray[np.float64] | None:
        """The data set's counts, if they were given or published."""
        if self.class_counts is None and self.center == 'rare':
            record = MessageHub.get_current_instance().get_info(HUB_COUNTS)
            if record is not None:
                self.class_counts = ClassCounts.from_dict(record).of('pixels').astype(np.float64)
        return self.class_counts

    def prior_effect(self, context: Any) -> NDArray[np.float64]:
        """Return (C,) expected points of epoch 2 per class and epoch of training, by simulated crops.

        Args:
            context: an ``imbdense.mm.prior.PriorContext``.
        """
        counts = context.table.totals.astype(np.float64)

        def crop(sample: dict[str, Any], rng: np.random.Generator) -> NDArray[np.int64]:
            labels: NDArray[np.int64] = sample['gt_semantic'][self.draw_in(sample, rng, counts).index2]
            return labels

        return expected_point_amounts(context, crop)

    def __repr__(self) -> str:
        return f"PairCylinderCrop(radius={self.radius:g}, center='{self.center}', tau={self.tau:g})"


@TRANSFORMS.register_module()
class PairCylinderGrid(PairTransform):
    """Cover a pair with overlapping cylinders, to predict it: adds ``crops``, pairs (points of epoch 1, of epoch 2).

    Centres are the cells of edge ``step`` in which epoch 2 has a point. Votes of all cylinders are summed.

    Args:
        radius: metres, as in training.
        step: distance of the centres; ``None`` = radius / 2 (the authors', about 12 votes per point). Up to
            1.4 radius every point is covered.

    Raises:
        ValueError: argument out of range.
    """

    conformance_arguments = {'radius': 5.0}

    def __init__(self, radius: float, step: float | None = None) -> None:
        owner = 'PairCylinderGrid'
        self.radius = check_number('radius', radius, low=0.0, low_open=True, owner=owner)
        self.step = check_number('step', radius / 2 if step is None else step, low=0.0, low_open=True, owner=owner)
        if self.step > self.radius * 2**0.5:
            raise ValueError(f'{owner}: step {self.step:g} > 1.41 radius would leave points out.')

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """List the cylinders of one sample."""
        self.require(results, 'points', 'points_t1')
        trees = [cKDTree(results[key][:, :2]) for key in ('points_t1', 'points')]
        crops = []
        for centre in cylinder_grid(results['points'], self.step):
            first, second = (cylinder_index(tree, centre, self.radius) for tree in trees)
            if len(second):
                crops.append((first, second))
        return {**results, 'crops': crops}

    def __repr__(self) -> str:
        return f'PairCylinderGrid(radius={self.radius:g}, step={self.step:g})'
