"""Transform: pack a pair of images for a model of change detection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import PixelData
from numpy.typing import NDArray

from imbdense.mm.structures.scd_data_sample import SCDDataSample
from imbdense.mm.transforms.change_maps import CHANGE, land_cover_keys, num_dates
from imbdense.registry import TRANSFORMS

META_KEYS = (
    'img_path', 'img_path_from', 'img_path_to', 'seg_map_path', 'seg_map_path_from', 'seg_map_path_to', 'num_dates',
    'ori_shape', 'img_shape', 'pad_shape', 'scale_factor', 'flip', 'flip_direction', 'reduce_zero_label', 'window',
    'transform', 'block_id', 'nodata',
)


@TRANSFORMS.register_module()
class PackChangeInputs(BaseTransform):
    """Pack ``inputs`` (D * B, H, W) and an :class:`~imbdense.mm.structures.scd_data_sample.SCDDataSample`.

    ``gt_sem_seg`` is the change map (1, H, W) int64; ``gt_sem_t1``, ``gt_sem_t2``, ... the land cover where it was
    loaded. Further maps in ``seg_fields`` (weights, edges) are packed under their names.

    Args:
        meta_keys: what of the results goes into the sample's metainfo, where it is there.

    Raises:
        ValueError: a label map of another size than the image: a transform forgot it.
    """

    card = 'change_data'
    tasks = ('change_detection',)

    def __init__(self, meta_keys: Sequence[str] = META_KEYS) -> None:
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack one sample."""
        image = results['img']
        image = image[..., None] if image.ndim == 2 else image
        num_dates(results)  # a sample of one image would pass for a pair
        sample = SCDDataSample(
            metainfo={key: results[key] for key in self.meta_keys if results.get(key) is not None}
        )
        names = {CHANGE: 'gt_sem_seg', **{key: key.replace(CHANGE, 'gt_sem') for key in land_cover_keys(results)}}
        for key in results.get('seg_fields', ()):
            names.setdefault(key, key)
        for key, name in names.items():
            if key in results:
                sample.set_field(_map(key, results[key], image.shape[:2], results), name, dtype=PixelData)
        inputs = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return {'inputs': inputs, 'data_samples': sample}

    def __repr__(self) -> str:
        return f'{type(self).__name__}(meta_keys={self.meta_keys})'


def _map(key: str, values: NDArray[Any], shape: tuple[int, ...], results: dict[str, Any]) -> PixelData:
    """A map over the image; whole numbers as int64."""
    if values.shape[:2] != shape:
        raise ValueError(
            f'PackChangeInputs: {key} of {results.get("img_path", "a sample")} is {values.shape[:2]}, but its image '
            f'{shape} (height, width). A transform of the pipeline does not know this map.'
        )
    whole = np.issubdtype(values.dtype, np.integer) or values.dtype == bool
    return PixelData(data=torch.from_numpy(np.ascontiguousarray(values.astype(np.int64) if whole else values))[None])
