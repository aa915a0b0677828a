"""Transform: one point per occupied voxel."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imbdense.core.checks import check_choice, check_number
from imbdense.core.points import grid_sample, majority_labels
from imbdense.core.points.grid_sample import MODES
from imbdense.mm.transforms.host_rng import host_generator
from imbdense.mm.transforms.point_fields import LABELS, PointTransform
from imbdense.mm.transforms.point_prior import expected_point_amounts
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class GridSample(PointTransform):
    """Keep one point per occupied voxel of edge ``size``, so that density no longer depends on the distance flown.

    The labels of a voxel are the majority of its points (ties: smaller id; -1 only where all are ignored). Thin things
    lose less than surfaces: the change of the class shares goes to the prior ledger.

    Args:
        size: edge in metres.
        mode: 'mean' = mean position and attributes; 'first' = its first point; 'random' = one of its points.
    """

    whole_scene = True
    conformance_arguments = {'size': 0.5}

    def __init__(self, size: float, mode: str = 'mean') -> None:
        self.size = check_number('size', size, low=0, low_open=True, owner='GridSample')
        self.mode = check_choice('mode', mode, MODES, owner='GridSample')

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Reduce all per-point entries."""
        self.require(results, 'points')
        seed = int(host_generator().integers(2**31)) if self.mode == 'random' else 0
        attributes = results.get('attributes', {})
        widths = [values.shape[1] for values in attributes.values()]
        table = np.concatenate([*attributes.values()], axis=1) if widths else np.zeros((len(results['points']), 0))
        found = grid_sample(
            torch.tensor(results['points']), self.size, features=torch.tensor(table), mode=self.mode, seed=seed
        )
        kept = {**results, 'points': found.points.numpy()}
        parts = np.split(found.features.numpy(), np.cumsum(widths)[:-1], axis=1) if widths else []
        kept['attributes'] = dict(zip(attributes, parts))
        for key in LABELS:
            if results.get(key) is not None:
                kept[key] = majority_labels(torch.tensor(results[key]), found.inverse, len(found)).numpy()
        return kept

    def prior_effect(self, context: Any) -> NDArray[np.float64]:
        """Return (C,) expected voxels per class and epoch.

        Args:
            context: an ``imbdense.mm.prior.PriorContext``.
        """
        return expected_point_amounts(context, lambda sample, _: self.transform(sample)['gt_semantic'], draws=1)

    def __repr__(self) -> str:
        return f"GridSample(size={self.size:g}, mode='{self.mode}')"
