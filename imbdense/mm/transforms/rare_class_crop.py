"""Transform: crops centred on rare classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmengine.logging import MessageHub
from numpy.typing import NDArray

from imbdense.core.checks import check_integer, check_number
from imbdense.core.metrics.groups import FrequencyGroups
from imbdense.core.sampling import class_histogram, draw_class, draw_pixel, map_position, place_window
from imbdense.core.stats import ClassCounts
from imbdense.mm.class_counts import load_class_counts
from imbdense.mm.prior import HUB_COUNTS
from imbdense.mm.transforms.crop_prior import expected_crop_pixels
from imbdense.mm.transforms.host_rng import host_generator
from imbdense.mm.transforms.window import cut_window
from imbdense.registry import TRANSFORMS

Window = tuple[int, int, int, int]


@TRANSFORMS.register_module()
class RareClassCrop(BaseTransform):
    """Crop so that, in a given share of the crops, a pixel of a rare class lies inside.

    With probability ``rate`` a class c is drawn among those present in the image, proportional to n_c ** -power, then
    one of its pixels, then a window uniformly among those that contain the pixel; the other crops (and images without
    a wanted class) are uniform. A targeted crop always contains its pixel, so the hit rate is ``rate`` plus what
    uniform crops hit by chance.

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
        crop_size: window (height, width), or one number for both.
        rate: share of targeted crops in [0, 1].
        classes: indices that may be targeted; ``None`` = all; ``'tail'`` = the rarest third by n_c.
        power: >= 0; 0 draws the present classes evenly, 1 inversely to their counts.
        class_counts: one number per class, or the path of a ``class_counts.json``; ``None`` see above.
        ignore_index: label value that is never targeted.
        pad_val: value for ``img`` outside the image.

    Raises:
        ValueError: argument out of range; ``'tail'`` without known counts; ``results`` with boxes or without a label.
    """

    card = 'rare_class_crop'
    tasks = ('segmentation',)

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
        owner = type(self).__name__
        sizes = (crop_size, crop_size) if isinstance(crop_size, int) else tuple(crop_size)
        if len(sizes) != 2:
            raise ValueError(f'{owner}: crop_size must be one number or (height, width), but got {crop_size!r}.')
        self.crop_size = tuple(check_integer('crop_size', size, low=1, owner=owner) for size in sizes)
        self.rate = check_number('rate', rate, low=0, high=1, owner=owner)
        self.power = check_number('power', power, low=0, owner=owner)
        if isinstance(classes, str) and classes != 'tail':
            raise ValueError(f"{owner}: classes must be None, 'tail' or class indices, but got {classes!r}.")
        self.classes = classes if isinstance(classes, str) or classes is None else frozenset(map(int, classes))
        self.class_counts = _read_counts(class_counts)
        self.ignore_index = int(ignore_index)
        self.pad_val = pad_val

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop one sample in place and return it."""
        if 'gt_seg_map' not in results:
            raise ValueError('RareClassCrop: no gt_seg_map in results. Put it after LoadAnnotations in the pipeline.')
        if results.get('gt_bboxes') is not None:
            raise ValueError("RareClassCrop: results hold gt_bboxes, which it does not crop. Use mmdet's RandomCrop.")
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
        return self.window_in(results['gt_seg_map'], host_generator(), self._counts(), results)

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

        return expected_crop_pixels(context, crop)

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
        klass = self._choose(np.fromiter(index, dtype=np.int64), None, counts, rng)
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
        klass = self._choose(*_histogram(label, self.ignore_index), counts, rng)
        return None if klass is None else draw_pixel(label == klass, rng)

    def _choose(
        self,
        present: NDArray[np.int64],
        in_image: NDArray[np.int64] | None,
        counts: NDArray[np.float64] | None,
        rng: np.random.Generator,
    ) -> int | None:
        """Draw one of the wanted classes that are present."""
        wanted = self._wanted(counts)
        keep = [i for i, klass in enumerate(present.tolist()) if wanted is None or klass in wanted]
        if not keep:
            return None
        known = in_image if counts is None else counts[present]
        return int(present[keep[draw_class(known[keep], self.power, rng)]])

    def _wanted(self, counts: NDArray[np.float64] | None) -> frozenset[int] | None:
        """The classes that may be targeted; ``None`` for all."""
        if self.classes != 'tail':
            return self.classes
        if counts is None:
            raise ValueError(
                "RareClassCrop: classes='tail' needs the class counts. Add custom_hooks=[dict(type="
                "'imbdense.ClassCountHook')], or give class_counts='class_counts.json' from `imbdense stats CONFIG`."
            )
        return frozenset(FrequencyGroups.thirds(counts, source='pixels').members.get('tail', ()))

    def _counts(self) -> NDArray[np.float64] | None:
        """The data set's counts, if they were given or published."""
        if self.class_counts is None:
            record = MessageHub.get_current_instance().get_info(HUB_COUNTS)
            if record is not None:
                self.class_counts = _pixels(ClassCounts.from_dict(record))
        return self.class_counts

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(crop_size={self.crop_size}, rate={self.rate}, classes={self.classes}, '
            f'power={self.power})'
        )


def _histogram(label: NDArray[np.integer], ignore_index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Classes present and their pixels; OpenCV counts bytes twice as fast as numpy (floats, exact up to 2^24)."""
    if label.dtype != np.uint8 or label.size > 2**24:
        return class_histogram(label, ignore_index)
    counts = cv2.calcHist([np.ascontiguousarray(label)], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    if 0 <= ignore_index < 256:
        counts[ignore_index] = 0
    present = np.flatnonzero(counts)
    return present, counts[present]


def _read_counts(value: Sequence[float] | str | None) -> NDArray[np.float64] | None:
    """Counts from a list or a file."""
    if value is None:
        return None
    if isinstance(value, str):
        return _pixels(load_class_counts(value, 'RareClassCrop'))
    return np.asarray(value, dtype=np.float64)


def _pixels(counts: ClassCounts) -> NDArray[np.float64]:
    """Pixel counts as floats."""
    return counts.of('pixels').astype(np.float64)
