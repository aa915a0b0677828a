"""What class distribution does a change of point clouds leave?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.mm.transforms.crop_prior import expected_crop_amounts
from imbdense.mm.transforms.point_fields import label_amounts

DRAWS = 400
"""Changes that are simulated, over all scenes: about two seconds."""

Change = Callable[[dict[str, Any], np.random.Generator], NDArray[np.int64]]


def expected_point_amounts(context: Any, change: Change, draws: int = DRAWS) -> NDArray[np.float64]:
    """Return (C,) expected points per class and epoch when ``change`` is applied to every drawn scene.

    See :func:`~imbdense.mm.transforms.crop_prior.expected_crop_amounts`.

    Args:
        context: an ``imbdense.mm.prior.PriorContext``.
        change: (sample, generator) -> labels of the points it leaves.
        draws: how many changes to simulate; 1 = one per scene, enough where nothing is random.
    """

    def crop(sample: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        return {'gt_semantic': change(sample, rng)}

    return expected_crop_amounts(
        context, context.load_sample, crop, lambda sample: label_amounts(sample['gt_semantic']), draws)
