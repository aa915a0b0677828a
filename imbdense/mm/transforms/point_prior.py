"""What class distribution does a change of point clouds leave?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.mm.transforms.crop_prior import expected_crop_amounts
from imbdense.mm.transforms.point_fields import label_amounts

DRAWS = (200, 1600)
"""Fewest and most changes that are simulated, over all scenes."""
WORK = 3e8
"""Points that are looked at in between: some seconds."""

Change = Callable[[dict[str, Any], np.random.Generator], NDArray[np.int64]]


def expected_point_amounts(context: Any, change: Change, draws: int | None = None) -> NDArray[np.float64]:
    """Return (C,) expected points per class and epoch when ``change`` is applied to every drawn scene.

    See :func:`~imbdense.mm.transforms.crop_prior.expected_crop_amounts`.

    Args:
        context: an ``imbdense.mm.prior.PriorContext``.
        change: (sample, generator) -> labels of the points it leaves.
        draws: how many changes to simulate; 1 = one per scene, enough where nothing is random; ``None`` = as many as
            take some seconds.
    """
    if draws is None:
        size = context.table.totals.sum() / max(len(context.table), 1)
        draws = int(np.clip(WORK / max(size, 1), *DRAWS))

    def crop(sample: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        return {'gt_semantic': change(sample, rng)}

    return expected_crop_amounts(
        context, context.load_sample, crop, lambda sample: label_amounts(sample['gt_semantic']), draws)
