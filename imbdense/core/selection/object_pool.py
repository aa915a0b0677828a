"""What a pool of unlabelled images holds: objects with class, score, box and feature, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNKNOWN_CLASS = -1
"""The class of an object that nobody has named."""


@dataclass(frozen=True, eq=False)
class ObjectPool:
    """The objects of M images as N rows, sorted by image; what every selector chooses from.

    The arrays may be memory maps (:func:`imbdense.data.object_pool.open_pool`): nothing here reads ``obj_feat`` or
    ``img_feat``, and selectors read them in chunks. Image i owns the rows ``starts[i]:starts[i + 1]``.

    Args:
        classes: C class names.
        image_ids: M unique strings; their order breaks ties.
        obj_image: (N,) int64 in [0, M), ascending: the image of each object.
        obj_class: (N,) int32 in [-1, C); -1 = unknown.
        obj_score: (N,) float32, 1 for ground truth.
        obj_box: (N, 4) float32 x1, y1, x2, y2 in pixels of the original image.
        obj_area: (N,) float32 pixels of the mask, or of the box without a mask.
        obj_feat: (N, D) float16 or float32.
        img_feat: (M, D') of the images, if there are any.
        img_cost: (M,) float32 > 0, minutes to label each image; ``None`` = 1 each.
        img_group: (M,) int64 >= 0, scene, slide or flight of each image; ``None`` = one group.
        usable: (N,) bool, False for objects whose feature is not finite or all zero; selectors leave them out.
            ``None`` = all; those that compare features then leave out what is not finite themselves.
        fingerprint: hash of the folder the pool was read from, '' in memory.

    Raises:
        ValueError: a length, order, range or type does not fit; the message names the array and the first bad place.
    """

    classes: Sequence[str]
    image_ids: Sequence[str]
    obj_image: NDArray[np.int64]
    obj_class: NDArray[np.int32]
    obj_score: NDArray[np.float32]
    obj_box: NDArray[np.float32]
    obj_area: NDArray[np.float32]
    obj_feat: NDArray[Any]
    img_feat: NDArray[Any] | None = None
    img_cost: NDArray[np.float32] | None = None
    img_group: NDArray[np.int64] | None = None
    usable: NDArray[np.bool_] | None = None
    fingerprint: str = field(default='')

    def __post_init__(self) -> None:
        """Check lengths, order and ranges; features are not read."""
        objects, images = len(self.obj_image), len(self.image_ids)
        shapes = {'obj_class': (objects,), 'obj_score': (objects,), 'obj_box': (objects, 4), 'obj_area': (objects,),
                  'obj_feat': (objects, None), 'usable': (objects,), 'img_feat': (images, None),
                  'img_cost': (images,), 'img_group': (images,)}
        for name, shape in shapes.items():
            _check_shape(name, getattr(self, name), shape)
        _check_unique('image_ids', self.image_ids)
        _check_unique('classes', self.classes)
        _check_range('obj_image', self.obj_image, 0, images)
        _check_range('obj_class', self.obj_class, UNKNOWN_CLASS, len(self.classes))
        falls = np.flatnonzero(np.diff(self.obj_image) < 0)
        if falls.size:
            raise ValueError(
                f'ObjectPool: obj_image must be ascending, but falls after row {int(falls[0])}. Sort the rows by image.'
            )
        for name in ('obj_score', 'obj_box', 'obj_area'):
            _check_finite(name, getattr(self, name))
        for name, features in (('obj_feat', self.obj_feat), ('img_feat', self.img_feat)):
            if features is not None and not np.issubdtype(features.dtype, np.floating):
                raise ValueError(f'ObjectPool: {name} must hold float16 or float32, but is {features.dtype}.')
        if self.img_cost is not None and not (np.isfinite(self.img_cost).all() and (self.img_cost > 0).all()):
            raise ValueError('ObjectPool: img_cost must be finite and > 0 minutes for every image.')
        if self.img_group is not None:
            _check_range('img_group', self.img_group, 0, np.iinfo(np.int64).max)

    @property
    def num_images(self) -> int:
        """M."""
        return len(self.image_ids)

    @property
    def num_objects(self) -> int:
        """N, including objects that are not usable."""
        return len(self.obj_image)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(M + 1,) int64, the first row of every image."""
        return np.searchsorted(self.obj_image, np.arange(self.num_images + 1)).astype(np.int64)

    @cached_property
    def usable_rows(self) -> NDArray[np.int64]:
        """The rows selectors may use, ascending."""
        rows = np.arange(self.num_objects) if self.usable is None else np.flatnonzero(self.usable)
        return rows.astype(np.int64)

    def rows_of_class(self, klass: int) -> NDArray[np.int64]:
        """Usable rows of one class, ascending."""
        rows = self.usable_rows
        return rows[self.obj_class[rows] == klass]


def _check_shape(name: str, array: NDArray[Any] | None, shape: tuple[int | None, ...]) -> None:
    """``None`` is allowed for optional arrays and as a free length."""
    if array is None:
        return
    got = tuple(array.shape)
    if len(got) != len(shape) or any(want is not None and want != have for want, have in zip(shape, got)):
        wanted = ', '.join('*' if want is None else str(want) for want in shape)
        raise ValueError(f'ObjectPool: {name} must have the shape ({wanted}), but has {got}.')


def _check_unique(name: str, values: Sequence[str]) -> None:
    """No string twice."""
    if len(set(values)) != len(values):
        seen: set[str] = set()
        first = next(value for value in values if value in seen or seen.add(value))  # type: ignore[func-returns-value]
        raise ValueError(f'ObjectPool: {name} must be unique, but {first!r} comes more than once.')


def _check_finite(name: str, values: NDArray[Any]) -> None:
    """No NaN, no infinity."""
    bad = np.flatnonzero(~np.isfinite(values).all(axis=tuple(range(1, values.ndim))))
    if bad.size:
        raise ValueError(f'ObjectPool: {name} must be finite, but row {int(bad[0])} holds {values[bad[0]]}.')


def _check_range(name: str, values: NDArray[Any], low: int, high: int) -> None:
    """All values in [low, high)."""
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f'ObjectPool: {name} must hold integers, but is {values.dtype}.')
    bad = np.flatnonzero((values < low) | (values >= high))
    if bad.size:
        raise ValueError(
            f'ObjectPool: {name} must lie in [{low}, {high}), but row {int(bad[0])} holds {int(values[bad[0]])}.'
        )
