"""Transform: any albumentations pipeline, with labels kept right."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from imbdense.core.checks import check_integer, check_number
from imbdense.mm.transforms.albumentations_build import build_pipeline
from imbdense.mm.transforms.host_boxes import boxes_of, take_objects
from imbdense.mm.transforms.host_rng import host_generator
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class AlbumentationsAdapter(BaseTransform):
    """Run albumentations transforms on image, label maps, boxes and instance masks, keeping ignore regions right.

    The hosts' ``Albu`` leaves segmentation maps out (mmdet) or fills new borders with class 0 (mmseg). Here:

    * label maps (``seg_fields``) are resampled by nearest neighbour; what comes from outside the image is
      ``ignore_index`` in integer maps and 0 in float maps, whatever the transform fills with. Mirrored borders keep
      their mirrored labels;
    * boxes are clipped to the image; those that lie outside, are smaller than ``min_area`` or less visible than
      ``min_visibility`` go, together with their label, ignore flag and instance mask;
    * with instance masks (bitmaps; polygons become bitmaps) each box is the tight box of its transformed mask, and an
      object without a pixel left goes. Without masks a rotated box is the box round its rotated corners.

    Colour transforms see the channels in the order of the pipeline (BGR by default in mmcv). Random numbers follow
    the host's seed: one draw per sample, whatever the transforms do.

    Args:
        transforms: dictionaries with ``type`` (class name of albumentations) and arguments; nested for ``OneOf``.
        min_area: smallest box area kept, in pixels.
        min_visibility: smallest share of a box's area kept, in [0, 1].
        ignore_index: value of integer label maps outside the image.

    Raises:
        ImportError: albumentations is not installed.
        ValueError, TypeError: unknown transform or argument; boxes that are not axis-aligned.
    """

    card = 'albumentations_adapter'
    tasks = ('segmentation', 'detection')

    def __init__(
        self,
        transforms: Sequence[Mapping[str, Any]],
        min_area: float = 1.0,
        min_visibility: float = 0.0,
        ignore_index: int = 255,
    ) -> None:
        owner = type(self).__name__
        self.transforms = [dict(config) for config in transforms]
        self.min_area = check_number('min_area', min_area, low=0, owner=owner)
        self.min_visibility = check_number('min_visibility', min_visibility, low=0, high=1, owner=owner)
        self.ignore_index = check_integer('ignore_index', ignore_index, owner=owner)
        self._pipelines: dict[int, Any] = {}
        self._pipeline(0)  # a wrong name fails here, not in a worker

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Augment one sample in place and return it."""
        fields = list(results.get('seg_fields', ()))
        maps = [_resamplable(results[key]) for key in fields]
        inside = np.ones(results['img'].shape[:2], dtype=np.uint8)
        boxes = boxes_of(results)
        sample: dict[str, Any] = {'image': results['img'], 'bboxes': boxes, 'box_index': np.arange(len(boxes))}
        sample.update({f'map{i}': value for i, value in enumerate([*maps, inside])})
        masks = results.get('gt_masks')
        if masks is not None and len(masks):
            bitmaps = masks.to_bitmap() if hasattr(masks, 'to_bitmap') else masks
            sample['masks'] = np.asarray(bitmaps.masks, dtype=np.uint8)
        out = self._seeded(len(fields) + 1)(**sample)
        outside = out[f'map{len(fields)}'] != 1
        for i, key in enumerate(fields):
            results[key] = self._back(out[f'map{i}'], outside, results[key].dtype)
        results['img'] = out['image']
        results['img_shape'] = out['image'].shape[:2]
        if results.get('gt_bboxes') is not None:
            kept = np.asarray(out['box_index'], dtype=np.int64)
            new_boxes = np.asarray(out['bboxes'], dtype=np.float32).reshape(-1, 4)
            take_objects(results, kept, new_boxes, out.get('masks'))
        return results

    def _pipeline(self, maps: int) -> Any:
        """The compiled pipeline for a number of label maps."""
        if maps not in self._pipelines:
            self._pipelines[maps] = build_pipeline(self.transforms, self.min_area, self.min_visibility, maps)
        return self._pipelines[maps]

    def _seeded(self, maps: int) -> Any:
        """The pipeline, ready to draw from the host's random stream."""
        pipeline, generator = self._pipeline(maps), host_generator()
        pipeline.set_random_state(generator, random.Random(int(generator.integers(2**63))))
        return pipeline

    def _back(self, values: NDArray[Any], outside: NDArray[np.bool_], dtype: np.dtype[Any]) -> NDArray[Any]:
        """A transformed label map in its own dtype, with what lies outside the image marked."""
        values = np.ascontiguousarray(values).astype(dtype, copy=False)
        values[outside] = self.ignore_index if np.issubdtype(dtype, np.integer) else 0
        return values

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transforms={self.transforms})'


def _resamplable(values: NDArray[Any]) -> NDArray[Any]:
    """OpenCV warps bytes, 16-bit and floats; wider integers travel as float64, which holds them exactly."""
    if values.dtype in (np.uint8, np.uint16, np.int16, np.float32, np.float64):
        return values
    return values.astype(np.uint8 if values.dtype == bool else np.float64)
