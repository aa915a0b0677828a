"""Transforms: the loss weight of each pixel as a map that goes through the pipeline like a label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform, to_tensor
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs

from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.masks import read_mask
from imbdense.registry import TRANSFORMS

SEG_WEIGHT = 'seg_weight'


@TRANSFORMS.register_module()
class LoadPixelWeight(BaseTransform):
    """Make the map of pixel weights of a sample, to be placed right after the label is loaded.

    ``seg_weight`` (H, W) float32 = ``pixel_weight`` (one number, default 1) times, where the record names a
    ``confidence_path``, the values of that grey image / 255. It joins ``seg_fields``, so crops, flips and resizes take
    it along. A record without either (a labelled image) stays as it is: its pixels weigh 1.

    Raises:
        ValueError: no label is loaded yet. LabelReadError: the image of confidences is missing or broken, has
            channels, or another size than the label.
    """

    card = 'self_training'
    tasks = ('segmentation',)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the map to one sample."""
        weight, path = results.get('pixel_weight'), results.get('confidence_path')
        if weight is None and path is None:
            return results
        if 'gt_seg_map' not in results:
            raise ValueError('LoadPixelWeight: no gt_seg_map in results. Put it after imbdense.LoadSegMask.')
        shape = results['gt_seg_map'].shape
        values = np.full(shape, 1.0 if weight is None else weight, np.float32)
        if path is not None:
            confidence = read_mask(path)
            if confidence.shape != shape:
                raise LabelReadError(path, 'shape', f'is {confidence.shape}, but its label is {shape}.',
                                     'Label the images anew with `imbdense pseudo-label`.')
            values *= confidence.astype(np.float32) / np.float32(255)
        results[SEG_WEIGHT] = values
        results.setdefault('seg_fields', []).append(SEG_WEIGHT)
        return results


@TRANSFORMS.register_module()
class PackSegInputsWithWeight(PackSegInputs):
    """Pack a sample as mmseg's ``PackSegInputs`` does, with its map of pixel weights where it has one.

    The data sample gains ``seg_weight`` (1, H, W) float32, which ``imbdense.PixelWeightHead`` hands to the losses; one
    without a map is packed like any other.

    Args:
        meta_keys: what of the record the data sample keeps.

    Raises:
        ValueError: the map has another size than the label.
    """

    card = 'self_training'
    tasks = ('segmentation',)

    def __init__(
        self,
        meta_keys: Sequence[str] = (
            'img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor', 'flip',
            'flip_direction', 'reduce_zero_label',
        ),
    ) -> None:  # fmt: skip
        super().__init__(meta_keys=meta_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack one sample."""
        packed: dict[str, Any] = super().transform(results)
        if SEG_WEIGHT in results:
            values, label = results[SEG_WEIGHT], packed['data_samples'].gt_sem_seg.data
            if values.shape != tuple(label.shape[-2:]):
                raise ValueError(
                    f'PackSegInputsWithWeight: the pixel weights are {values.shape}, but the label is '
                    f'{tuple(label.shape[-2:])}: a transform changed one of them. Put imbdense.LoadPixelWeight right '
                    f'after the label is loaded, and before all geometry.'
                )
            data = to_tensor(np.ascontiguousarray(values[None], dtype=np.float32))
            packed['data_samples'].set_data({SEG_WEIGHT: PixelData(data=data)})
        return packed
