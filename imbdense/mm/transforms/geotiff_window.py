"""Transform: load a window of a multi-band GeoTIFF and the same window of its label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from imbdense.core.checks import check_integer
from imbdense.data.geotiff import check_same_grid, draw_window, open_raster, read_window
from imbdense.mm.transforms.host_rng import host_generator
from imbdense.mm.transforms.label_values import map_label_values
from imbdense.mm.transforms.value_range import check_value_range, scale_values
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadGeoTiffWindow(BaseTransform):
    """Load a window of a multi-band GeoTIFF, block-aligned, with nodata as ignore in the label.

    Takes the place of ``LoadImageFromFile`` and ``LoadAnnotations``. Only the blocks under the window are read, so the
    cost does not depend on the size of the raster. The window is, in this order: ``results['window']`` (row, column,
    height, width); a random one of ``window_size``, starting on block borders when ``align``; the whole raster.

    Sets ``img`` (h, w, bands) float32, ``img_shape``, ``ori_shape``, ``window``; and, when ``results`` has a
    ``seg_map_path``, ``gt_seg_map`` (h, w) uint8 with the data set's ``label_map`` and ``reduce_zero_label`` applied.
    Where any band is nodata or not finite the image is ``nodata_fill`` and the label ``ignore_index``; the label's
    own nodata is ignored too. Random numbers follow the host's seed.

    Args:
        window_size: (height, width) or one number; ``None`` = whole raster. Clipped to the raster.
        bands: 1-based band numbers in the order of the model's input channels; ``None`` = all.
        align: start random windows on block borders (about three times faster on tiled files).
        value_range: (low, high), for all bands or one pair per band, mapped linearly to 0 … 255 without clipping, so
            that a data preprocessor's usual mean and std apply; ``None`` keeps the values.
        nodata_fill: image value where there are no data, in output units.
        ignore_index: label value where there are no data.

    Raises:
        ValueError: image and label differ in size, coordinate system or grid (both files are named); a band, window
            or label value that does not fit.
        OSError: a file is missing, cut off or no raster; the message names it.
    """

    card = 'geotiff_window'
    tasks = ('segmentation', 'detection')

    def __init__(
        self,
        window_size: int | Sequence[int] | None = None,
        bands: Sequence[int] | None = None,
        align: bool = True,
        value_range: Sequence[float] | Sequence[Sequence[float]] | None = None,
        nodata_fill: float = 0.0,
        ignore_index: int = 255,
    ) -> None:
        owner = type(self).__name__
        sizes = (window_size, window_size) if isinstance(window_size, int) else window_size
        self.window_size = None if sizes is None else tuple(check_integer('window_size', s, low=1) for s in sizes)
        self.bands = None if bands is None else tuple(check_integer('bands', b, low=1, owner=owner) for b in bands)
        self.align = bool(align)
        self.value_range = check_value_range(value_range, owner)
        self.nodata_fill = float(nodata_fill)
        self.ignore_index = int(ignore_index)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load image and label of one sample."""
        with open_raster(results['img_path']) as source:
            window = self._window(source, results)
            values, valid = read_window(source, window, self.bands)
            if results.get('seg_map_path') is not None:
                with open_raster(results['seg_map_path']) as label_source:
                    check_same_grid(source, label_source)
                    label = self._label(label_source, window, results)
                label[~valid] = self.ignore_index
                results['gt_seg_map'] = label
                results.setdefault('seg_fields', []).append('gt_seg_map')
        results['img'] = self._scale(values, valid)
        results['window'] = window
        results['img_shape'] = results['ori_shape'] = label_shape = values.shape[:2]
        results['pad_shape'] = label_shape
        return results

    def _window(self, source: Any, results: dict[str, Any]) -> tuple[int, int, int, int]:
        """The window of this sample."""
        if results.get('window') is not None:
            row, column, height, width = (int(v) for v in results['window'])
            return row, column, height, width
        if self.window_size is None:
            return 0, 0, source.height, source.width
        return draw_window(source, self.window_size, host_generator(), align=self.align)

    def _scale(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Values as float32 in output units, filled where there are no data."""
        image = values.astype(np.float32)
        if self.value_range is not None:
            image = scale_values(image, self.value_range, type(self).__name__)
        if not valid.all():
            image[~valid] = self.nodata_fill
        return image

    def _label(self, source: Any, window: tuple[int, int, int, int], results: dict[str, Any]) -> NDArray[np.uint8]:
        """The label of the window in training indices."""
        if source.count != 1:
            raise ValueError(
                f'{source.name}: a label needs one band of class indices, but it has {source.count}. Convert colours '
                f'to indices first, or load it with imbdense.LoadSegMask(palette=...).'
            )
        values, valid = read_window(source, window)
        label = map_label_values(
            values[..., 0], results.get('label_map'), bool(results.get('reduce_zero_label')), self.ignore_index,
            source.name,
        )
        label[~valid] = self.ignore_index
        return label

    def __repr__(self) -> str:
        return f'{type(self).__name__}(window_size={self.window_size}, bands={self.bands}, align={self.align})'
