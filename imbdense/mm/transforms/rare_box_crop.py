"""Transform: crops of a detection image around objects of rare classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from mmcv.transforms.utils import cache_randomness
from numpy.typing import NDArray

from imbdense.core.checks import check_number
from imbdense.core.sampling import place_window
from imbdense.mm.prior import ImageObjects
from imbdense.mm.transforms.crop_prior import expected_crop_amounts
from imbdense.mm.transforms.host_boxes import boxes_of, take_objects
from imbdense.mm.transforms.host_rng import host_generator
from imbdense.mm.transforms.rare_crop import RareCrop, Window
from imbdense.mm.transforms.window import cut_window
from imbdense.registry import TRANSFORMS

Boxes = NDArray[np.float32]


@TRANSFORMS.register_module()
class RareBoxCrop(RareCrop):
    """Crop so that, in a given share of the crops, the centre of an object of a rare class lies inside.

    With probability ``rate`` a class c is drawn among those of the image's objects, proportional to n_c ** -power, then
    one of its objects, then a window uniformly among those that contain the object's centre; the other crops (and
    images without a wanted class) are uniform.

    n_c are, in this order: ``class_counts``; the objects per class of the training set when ``imbdense.ClassCountHook``
    has published them; the objects of this image.

    Changes ``img``, ``gt_bboxes``, ``gt_bboxes_labels``, ``gt_ignore_flags``, ``gt_masks``, maps in ``seg_fields``,
    ``img_shape``, ``homography_matrix``. Boxes are clipped to the window; objects that lie outside are dropped, and of
    those cut at the border the ones with less than ``min_visible`` of their area left are flagged as ignored, so that
    a sliver is neither an example nor background. An image smaller than the window is padded at the bottom and right.
    Random numbers follow the host's seed; nothing is remembered between calls.

    Args:
        min_visible: share of a box's area, in [0, 1], below which what is left of it is ignored.
        others: see :class:`~imbdense.mm.transforms.rare_crop.RareCrop`.

    Raises:
        ValueError: argument out of range; ``'tail'`` without known counts; ``results`` without boxes, or with rotated
            ones.
    """

    tasks = ('detection',)
    unit = 'instances'

    def __init__(
        self,
        crop_size: int | Sequence[int],
        rate: float = 0.5,
        classes: Sequence[int] | Literal['tail'] | None = None,
        power: float = 0.5,
        class_counts: Sequence[float] | str | None = None,
        min_visible: float = 0.1,
        pad_val: float = 0,
    ) -> None:
        super().__init__(crop_size, rate, classes, power, class_counts, pad_val)
        self.min_visible = check_number('min_visible', min_visible, low=0, high=1, owner=type(self).__name__)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop one sample in place and return it."""
        if results.get('gt_bboxes') is None or results.get('gt_bboxes_labels') is None:
            raise ValueError(
                'RareBoxCrop: no gt_bboxes in results. Put it after LoadAnnotations(with_bbox=True); for label images '
                'use imbdense.RareClassCrop.'
            )
        boxes = boxes_of(results)
        window = self.crop_window(results)
        results['img'] = cut_window(results['img'], window, self.pad_val)
        results['img_shape'] = results['img'].shape[:2]
        for key in results.get('seg_fields', ()):
            results[key] = cut_window(results[key], window, 255)
        cut, share = visible_part(boxes, window)
        kept = np.flatnonzero(share > 0)
        flags = results.get('gt_ignore_flags')
        ignored = np.zeros(len(boxes), bool) if flags is None else np.asarray(flags, dtype=bool)
        results['gt_ignore_flags'] = ignored | (share < self.min_visible)
        masks = results.get('gt_masks')
        take_objects(results, kept, cut[kept], None if masks is None else _cut_masks(masks, window))
        shift = np.array([[1, 0, -window[1]], [0, 1, -window[0]], [0, 0, 1]], np.float32)
        results['homography_matrix'] = shift @ results.get('homography_matrix', np.eye(3, dtype=np.float32))
        return results

    @cache_randomness
    def crop_window(self, results: dict[str, Any]) -> Window:
        """Return (top, left, height, width) of the crop for one sample."""
        flags = results.get('gt_ignore_flags')
        labels = np.asarray(results['gt_bboxes_labels'])
        real = np.ones(len(labels), bool) if flags is None else ~np.asarray(flags, dtype=bool)
        objects = ImageObjects(boxes_of(results)[real], labels[real], results['img'].shape[:2])
        return self.window_in(objects, host_generator(), self.known_counts())

    def window_in(
        self, objects: ImageObjects, rng: np.random.Generator, counts: NDArray[np.float64] | None
    ) -> Window:
        """Return the crop for an image with these objects drawn from ``rng``."""
        centre = None
        if rng.random() < self.rate:
            present, in_image = np.unique(objects.labels, return_counts=True)
            klass = self.choose_class(present, in_image, counts, rng)
            if klass is not None:
                box = objects.boxes[rng.choice(np.flatnonzero(objects.labels == klass))]
                height, width = objects.shape
                middle = (box[1] + box[3]) / 2, (box[0] + box[2]) / 2
                centre = int(np.clip(middle[0], 0, height - 1)), int(np.clip(middle[1], 0, width - 1))
        return (*place_window(objects.shape, self.crop_size, rng, centre), *self.crop_size)

    def prior_effect(self, context: Any) -> NDArray[np.float64]:
        """Return (C,) expected objects per class and epoch in the crops, by simulated crops of the annotations.

        Args:
            context: an ``imbdense.mm.prior.PriorContext``.
        """
        counts = context.table.totals.astype(np.float64)

        def crop(objects: ImageObjects, rng: np.random.Generator) -> ImageObjects:
            cut, share = visible_part(objects.boxes, self.window_in(objects, rng, counts))
            kept = (share > 0) & (share >= self.min_visible)
            return ImageObjects(cut[kept], objects.labels[kept], self.crop_size)

        def amounts(objects: ImageObjects) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
            return np.unique(objects.labels, return_counts=True)

        return expected_crop_amounts(context, context.load_objects, crop, amounts)


def visible_part(boxes: Boxes, window: Window) -> tuple[Boxes, NDArray[np.float32]]:
    """Return (boxes clipped to the window, in its coordinates (n, 4); share of each area that is left (n,))."""
    top, left, height, width = window
    corner = np.array([left, top, left, top], np.float32)
    cut = np.clip(boxes - corner, 0, np.array([width, height, width, height], np.float32))
    return cut, (_area(cut) / np.maximum(_area(boxes), 1e-6)).astype(np.float32)


def _area(boxes: Boxes) -> NDArray[np.float32]:
    """(n,) width times height."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _cut_masks(masks: Any, window: Window) -> NDArray[np.uint8]:
    """(n, h, w) bitmaps of mmdet's masks inside the window."""
    parts = [cut_window(mask, window, 0) for mask in masks.to_ndarray()]
    return np.array(parts, np.uint8).reshape(-1, *window[2:])
