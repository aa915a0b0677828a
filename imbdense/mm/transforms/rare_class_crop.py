"""Transform: crops of a label image centred on rare classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
from mmcv.transforms.utils import cache_randomness
from numpy.typing import NDArray

from imbdense.core.sampling import class_histogram, draw_pixel, map_position, place_window
from imbdense.mm.transforms.crop_prior import expected_crop_amounts
from imbdense.mm.transforms.host_rng import host_generator
from imbdense.mm.transforms.rare_crop import RareCrop, Window
from imbdense.mm.transforms.window import cut_window
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RareClassCrop(RareCrop):
    """Crop so that, in a given share of the crops, a pixel of a rare class lies inside.

    With probability ``rate`` a class c is drawn among those present in the image, proportional to n_c ** -power, then
    one of its pixels, then a window uniformly among those that contain the pixel; the other crops (and images without
    a wanted class) are uniform. A targeted crop always contains its pixel, so the hit rate is ``rate`` plus what
    uniform crops hit by chance. For boxes see :class:`RareBoxCrop`.

    The pixel comes from the index that :class:`imbdense.SegFolderDataset` hands on (``results['class_pixels']``: class
    -> (k, 2) rows and columns in the label file), followed through resize and flip and verified in the present label.
    Without an index, or when the pixel does not verify (after a rotation or an earlier crop), the present label is
    searched. Nothing is remembered between calls: a resumed run draws the same crops.

    n_c are, in this order: ``class_counts``; the counts of the training set when ``imbdense.ClassCountHook`` has
    published them; the pixels of this image.

    Changes ``img``, every map in ``seg_fields``, ``img_shape``. An image smaller than the window is padded at the
    bottom and right: ``img`` with ``pad_val``, integer maps with ``ignore_index``, float maps with 0. Random numbers
    follow the host's seed.

    Args:
        ignore_index: label value that is never targeted.
        others: see :class:`~imbdense.mm.transforms.rare_crop.RareCrop`.

    Raises:
        ValueError: argument out of range; ``'tail'`` without known counts; ``results`` with boxes or without a label.
    """

    tasks = ('segmentation',)
    unit = 'pixels'

    def __init__(
        self,
        crop_size: int | Sequence[int],
        rate: float = 0.5,
        classes: Sequence[int] | Literal['tail'] | None = None,
        power: float = 0.5,
        class_counts: Sequence[float] | str | None = None,
        ignore_index: int = 255,
        pad_val: float = 0,
    ) -> None:
        super().__init__(crop_size, rate, classes, power, class_counts, pad_val)
        self.ignore_index = int(ignore_index)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop one sample in place and return it."""
        if results.get('gt_bboxes') is not None:
            raise ValueError('RareClassCrop: results hold gt_bboxes, which it does not crop. Use imbdense.RareBoxCrop.')
        if 'gt_seg_map' not in results:
            raise ValueError('RareClassCrop: no gt_seg_map in results. Put it after LoadAnnotations in the pipeline.')
        window = self.crop_window(results)
        results['img'] = cut_window(results['img'], window, self.pad_val)
        for key in results.get('seg_fields', ()):
            outside = self.ignore_index if np.issubdtype(results[key].dtype, np.integer) else 0
            results[key] = cut_window(results[key], window, outside)
        results['img_shape'] = results['img'].shape[:2]
        results.pop('class_pixels', None)
        return results

    @cache_randomness
    def crop_window(self, results: dict[str, Any]) -> Window:
        """Return (top, left, height, width) of the crop for one sample."""
        return self.window_in(results['gt_seg_map'], host_generator(), self.known_counts(), results)

    def window_in(
        self,
        label: NDArray[np.integer],
        rng: np.random.Generator,
        counts: NDArray[np.float64] | None,
        results: dict[str, Any] | None = None,
    ) -> Window:
        """Return the crop for ``label`` (H, W) drawn from ``rng``; ``results`` may hold a pixel index."""
        pixel = None
        if rng.random() < self.rate:
            pixel = self._indexed_pixel(label, rng, counts, results or {}) or self._searched_pixel(label, rng, counts)
        return (*place_window(label.shape, self.crop_size, rng, pixel), *self.crop_size)

    def prior_effect(self, context: Any) -> NDArray[np.float64]:
        """Return (C,) expected crop pixels per class and epoch, by simulated crops of the label files.

        Args:
            context: an ``imbdense.mm.prior.PriorContext``.
        """
        counts = context.table.totals.astype(np.float64)

        def crop(label: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.integer]:
            return cut_window(label, self.window_in(label, rng, counts), self.ignore_index)

        def amounts(label: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
            return class_histogram(label, self.ignore_index)

        return expected_crop_amounts(context, context.load_label, crop, amounts)

    def _indexed_pixel(
        self,
        label: NDArray[np.integer],
        rng: np.random.Generator,
        counts: NDArray[np.float64] | None,
        results: dict[str, Any],
    ) -> tuple[int, int] | None:
        """A pixel from the index of the data set, if it verifies in the present label."""
        index = results.get('class_pixels')
        if not index or counts is None:
            return None
        klass = self.choose_class(np.fromiter(index, dtype=np.int64), None, counts, rng)
        if klass is None:
            return None
        position = index[klass][rng.integers(len(index[klass]))]
        flip = results.get('flip_direction') if results.get('flip') else None
        pixel = map_position(position, results['ori_shape'][:2], label.shape, flip)
        return pixel if label[pixel] == klass else None

    def _searched_pixel(
        self, label: NDArray[np.integer], rng: np.random.Generator, counts: NDArray[np.float64] | None
    ) -> tuple[int, int] | None:
        """A pixel found in the present label; ``None`` when no wanted class is there."""
        klass = self.choose_class(*_histogram(label, self.ignore_index), counts, rng)
        return None if klass is None else draw_pixel(label == klass, rng)


def _histogram(label: NDArray[np.integer], ignore_index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Classes present and their pixels; OpenCV counts bytes twice as fast as numpy (floats, exact up to 2^24)."""
    if label.dtype != np.uint8 or label.size > 2**24:
        return class_histogram(label, ignore_index)
    counts = cv2.calcHist([np.ascontiguousarray(label)], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    if 0 <= ignore_index < 256:
        counts[ignore_index] = 0
    present = np.flatnonzero(counts)
    return present, counts[present]
