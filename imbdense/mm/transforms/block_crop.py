"""Transform: a block of a regular grid cut out of a cloud."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms.utils import cache_randomness
from numpy.typing import NDArray

from imbdense.core.checks import check_integer, check_number
from imbdense.mm.transforms.host_rng import host_generator
from imbdense.mm.transforms.point_fields import PointTransform, take_points
from imbdense.mm.transforms.point_prior import expected_point_amounts
from imbdense.registry import TRANSFORMS

Cell = tuple[int, int]


@TRANSFORMS.register_module()
class BlockCrop(PointTransform):
    """Keep the points of one vertical block, drawn evenly among the blocks that hold enough points.

    Block (i, j) covers ``[x0 + i * stride, x0 + i * stride + size)`` and the same of y, with x0, y0 the smallest
    coordinates of the cloud.

    Args:
        size: side of a block in metres.
        stride: distance of neighbouring blocks; ``None`` = ``size``. Smaller ones overlap.
        half_open: a point on the far border belongs to the next block alone. ``False``: to both, which duplicates it,
            as the published preparation of STPLS3D does.
        min_points: blocks of fewer points are left out (STPLS3D: 10,000).

    Raises:
        ValueError: argument out of range.
    """

    conformance_arguments = {'size': 5.0}

    def __init__(
        self, size: float, stride: float | None = None, half_open: bool = True, min_points: int = 1
    ) -> None:
        self.size = check_number('size', size, low=0, low_open=True, owner='BlockCrop')
        step = size if stride is None else stride
        self.stride = check_number('stride', step, low=0, low_open=True, owner='BlockCrop')
        if self.stride > self.size:
            raise ValueError(f'BlockCrop: stride {self.stride:g} > size {self.size:g} would leave points out for good.')
        self.half_open = bool(half_open)
        self.min_points = check_integer('min_points', min_points, low=1, owner='BlockCrop')

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Crop one sample; ``None`` (another one is drawn) when no block holds enough points."""
        self.require(results, 'points')
        inside = self.crop_mask(results)
        return None if inside is None else take_points(results, inside)

    @cache_randomness
    def crop_mask(self, results: dict[str, Any]) -> NDArray[np.bool_] | None:
        """(N,) which points are inside the block drawn for one sample."""
        return self.mask_in(results['points'], host_generator())

    def mask_in(self, points: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.bool_] | None:
        """(N,) which points are inside a block drawn from ``rng``; ``None`` when none holds enough."""
        if len(points) == 0:
            return None
        rows, columns = (np.floor(np.ptp(points[:, :2], axis=0) / self.stride).astype(int) + 1).tolist()
        # The first of a random order that holds enough: each such block is as likely, and few have to be looked at.
        for number in rng.permutation(rows * columns).tolist():
            inside = self.inside(points, divmod(number, columns))
            if np.count_nonzero(inside) >= self.min_points:
                return inside
        return None

    def inside(self, points: NDArray[np.float32], cell: Cell) -> NDArray[np.bool_]:
        """(N,) which points lie in block (i, j)."""
        low = points[:, :2].min(axis=0) + np.asarray(cell, np.float32) * np.float32(self.stride)
        high = low + np.float32(self.size)
        below = points[:, :2] < high if self.half_open else points[:, :2] <= high
        return ((points[:, :2] >= low) & below).all(axis=1)

    def prior_effect(self, context: Any) -> NDArray[np.float64]:
        """Return (C,) expected points per class and epoch in the blocks, by simulated crops of the scenes.

        Args:
            context: an ``imbdense.mm.prior.PriorContext``.
        """

        def crop(sample: dict[str, Any], rng: np.random.Generator) -> NDArray[np.int64]:
            inside = self.mask_in(sample['points'], rng)
            return sample['gt_semantic'][:0] if inside is None else sample['gt_semantic'][inside]

        return expected_point_amounts(context, crop)

    def __repr__(self) -> str:
        return (
            f'BlockCrop(size={self.size:g}, stride={self.stride:g}, half_open={self.half_open}, '
            f'min_points={self.min_points})'
        )
