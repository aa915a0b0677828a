"""Transform: spheres cut out of a cloud, around any point or around points of rare classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from mmcv.transforms.utils import cache_randomness
from numpy.typing import NDArray

from imbdense.core.checks import check_choice, check_number
from imbdense.mm.transforms.host_rng import host_generator
from imbdense.mm.transforms.point_fields import PointTransform, label_amounts, take_points
from imbdense.mm.transforms.point_prior import expected_point_amounts
from imbdense.mm.transforms.rare_target import RareTarget
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SphereCrop(RareTarget, PointTransform):
    """Keep the points within ``radius`` of a drawn point.

    ``center='uniform'``: every point is as likely. ``center='rare'``: with probability ``rate`` a class c is drawn
    among those of the cloud, proportional to n_c ** -tau, then one of its points; in the other cases (and in clouds
    without a wanted class) every point is as likely.

    n_c are, in this order: ``class_counts``; the counts of the training set when ``imbdense.ClassCountHook`` has
    published them; the points of this cloud. What the crops leave of the class shares goes to the prior ledger. Random
    numbers follow the host's seed; nothing is remembered between calls.

    Args:
        radius: metres.
        center: see above.
        tau: exponent >= 0: 0 draws the present classes evenly, 1 inversely to their points, 0.5 in between.
        rate: share of crops round a rare point, in [0, 1].
        classes: indices that may be drawn; ``None`` = all; ``'tail'`` = the rarest third by n_c.
        class_counts: n_c, one number per class, or the path of a ``class_counts.json``.

    Raises:
        ValueError: argument out of range; ``'tail'`` without known counts; a class without a count. KeyError: 'rare'
            without labels.

    Source: Thomas et al., KPConv, ICCV 2019 (spheres); centres drawn by the root of the counts as in the Siamese
    KPConv of de Gélis et al., 2021.
    """

    unit = 'pixels'
    conformance_arguments = {'radius': 5.0}

    def __init__(
        self,
        radius: float,
        center: Literal['uniform', 'rare'] = 'uniform',
        tau: float = 0.5,
        rate: float = 1.0,
        classes: Sequence[int] | Literal['tail'] | None = None,
        class_counts: Sequence[float] | str | None = None,
    ) -> None:
        super().__init__(rate, classes, tau, class_counts)
        self.radius = check_number('radius', radius, low=0, low_open=True, owner='SphereCrop')
        self.center = check_choice('center', center, ('uniform', 'rare'), owner='SphereCrop')

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Crop one sample; ``None`` (another one is drawn) when the cloud is empty."""
        self.require(results, 'points', *(('gt_semantic',) if self.center == 'rare' else ()))
        if len(results['points']) == 0:
            return None
        return take_points(results, self.crop_mask(results))

    @cache_randomness
    def crop_mask(self, results: dict[str, Any]) -> NDArray[np.bool_]:
        """(N,) which points are inside the crop of one sample."""
        return self.mask_in(results['points'], results.get('gt_semantic'), host_generator(), self.known_counts())

    def mask_in(
        self,
        points: NDArray[np.float32],
        labels: NDArray[np.int64] | None,
        rng: np.random.Generator,
        counts: NDArray[np.float64] | None,
    ) -> NDArray[np.bool_]:
        """(N,) which points are inside a crop drawn from ``rng``."""
        rare = self.center == 'rare' and labels is not None and rng.random() < self.rate
        place = self._rare_point(labels, rng, counts) if rare else None
        centre = points[rng.integers(len(points)) if place is None else place]
        return np.square(points - centre).sum(axis=1) <= self.radius**2

    def prior_effect(self, context: Any) -> NDArray[np.float64]:
        """Return (C,) expected points per class and epoch in the crops, by simulated crops of the scenes.

        Args:
            context: an ``imbdense.mm.prior.PriorContext``.
        """
        counts = context.table.totals.astype(np.float64)

        def crop(sample: dict[str, Any], rng: np.random.Generator) -> NDArray[np.int64]:
            labels = sample['gt_semantic']
            return labels[self.mask_in(sample['points'], labels, rng, counts)]

        return expected_point_amounts(context, crop)

    def _rare_point(
        self, labels: NDArray[np.int64], rng: np.random.Generator, counts: NDArray[np.float64] | None
    ) -> int | None:
        """The place of a point of a drawn class; ``None`` when no wanted class is there."""
        klass = self.choose_class(*label_amounts(labels), counts, rng)
        return None if klass is None else int(rng.choice(np.flatnonzero(labels == klass)))

    def __repr__(self) -> str:
        return (
            f"SphereCrop(radius={self.radius:g}, center='{self.center}', tau={self.power:g}, rate={self.rate:g}, "
            f'classes={self.classes})'
        )
