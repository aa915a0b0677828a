"""Transforms: load the images and the label maps of a pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from imbdense.core.checks import check_integer
from imbdense.data.change.images import check_same_place, place_in_metres, read_date
from imbdense.data.geotiff import WARP_LABEL
from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.labels import read_label
from imbdense.mm.transforms.change_maps import CHANGE, date_key
from imbdense.mm.transforms.value_range import check_value_range, scale_values
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadChangeLabels(BaseTransform):
    """Load the change map of a pair, and the land cover of each date where the data set has it.

    For pipelines that load labels after a resize; otherwise :class:`LoadChangePair` loads them too. The label formats
    (classes, 0/255 masks, zero as unlabelled) are those of :class:`imbdense.ChangePairDataset`, so that training,
    statistics and checks read the same numbers.

    Sets ``gt_seg_map`` (H, W) uint8 and ``gt_seg_map_t1``, ..., and adds them to ``seg_fields``. Ignored = 255.

    Args:
        land_cover: load the land cover as well.

    Raises:
        LabelReadError: a file is missing, cut off, of another size than the image, or holds a value that is no class.
        ValueError: the sample does not come from a data set of pairs.
    """

    card = 'change_data'
    tasks = ('change_detection',)

    def __init__(self, land_cover: bool = True) -> None:
        self.land_cover = bool(land_cover)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load the label maps of one sample."""
        if results.get('change_format') is None:
            raise ValueError(
                f'{type(self).__name__}: the sample has no change_format. Use imbdense.ChangePairDataset, or a data '
                f'set of imbdense.compat.opencd.'
            )
        maps = {}
        if results.get('seg_map_path'):
            maps[CHANGE] = (results['seg_map_path'], results['change_format'])
        if self.land_cover and results.get('land_cover_format') is not None:
            for date, path in enumerate(results.get('land_cover_paths', ())):
                maps[date_key(date)] = (path, results['land_cover_format'])
        fields = results.setdefault('seg_fields', [])
        for key, (path, label_format) in maps.items():
            label = read_label(path, label_format)
            shape = results.get('ori_shape')  # of the image file: the label may be loaded after a resize
            if shape is not None and tuple(shape[:2]) != label.shape:
                raise LabelReadError(
                    path, 'shape', f'is {label.shape[0]} x {label.shape[1]} pixels (height x width), but its image '
                    f'{results["img_path"]} is {shape[0]} x {shape[1]}.',
                    'Make the pair again; `imbdense check CONFIG` lists all such.',
                )
            results[key] = label
            fields.append(key)
        return results


@TRANSFORMS.register_module()
class LoadChangePair(BaseTransform):
    """Load the images of all dates of a pair, one behind the other on the channels, and its label maps.

    Sets ``img`` (H, W, D * B), ``num_dates`` D, ``img_shape``, ``ori_shape``, ``transform`` (geotransform in metres of
    a projected TIFF, for areas, else ``None``), ``nodata`` (H, W) bool, where a date has no data (``None``: nowhere),
    and what :class:`LoadChangeLabels` sets.
    PNG and JPEG are loaded as the hosts load them (blue, green, red); TIFFs of any number of bands through
    :mod:`imbdense.data.geotiff`. Bytes stay bytes, all else becomes float32.

    Where a date of a TIFF has no data, its image is ``nodata_fill``, its land cover and the change map are ignored.

    Args:
        bands: 1-based band numbers of TIFFs, the same for every date, in the order of the model's channels; ``None`` =
            all, a three-band TIFF then as blue, green, red.
        value_range: (low, high), for all bands or one pair per band, mapped linearly to 0 ... 255 without clipping;
            ``None`` keeps the values.
        nodata_fill: image value where there are no data, in output units.
        with_labels: load the label maps as well.

    Raises:
        LabelReadError: a file is missing, cut off or no image, or as :class:`LoadChangeLabels`.
        ValueError: dates of different size, bands or grid, or a label raster of another grid (both files are named); a
            band that is not there.
        OSError: a broken raster; the message names it.
    """

    card = 'change_data'
    tasks = ('change_detection',)

    def __init__(
        self,
        bands: Sequence[int] | None = None,
        value_range: Sequence[float] | Sequence[Sequence[float]] | None = None,
        nodata_fill: float = 0.0,
        with_labels: bool = True,
    ) -> None:
        owner = type(self).__name__
        self.bands = None if bands is None else tuple(check_integer('bands', b, low=1, owner=owner) for b in bands)
        self.value_range = check_value_range(value_range, owner)
        self.nodata_fill = float(nodata_fill)
        self.labels = LoadChangeLabels() if with_labels else None

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load one sample."""
        files = pair_images(results)
        images, valid = zip(*(read_date(file, self.bands) for file in files))
        for file, image in zip(files[1:], images[1:]):
            if image.shape != images[0].shape:
                raise ValueError(
                    f'{files[0]} and {file} are no pair: {_size(images[0])} and {_size(image)} (height x width x '
                    f'bands). Align them (for rasters: `rio warp {file} OUT --like {files[0]}`), or choose bands.'
                )
            check_same_place(files[0], file)
        results['img'] = np.concatenate([self._filled(image, mask) for image, mask in zip(images, valid)], axis=2)
        results['num_dates'] = len(files)
        results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        results['transform'] = place_in_metres(files[0])
        missing = [~mask for mask in valid if mask is not None]
        results['nodata'] = np.any(missing, axis=0) if missing else None
        if self.labels is not None:
            self.labels.transform(results)
            for label in (results.get('seg_map_path'), *results.get('land_cover_paths', ())):
                if label:
                    check_same_place(files[0], label, WARP_LABEL)
            _ignore_nodata(results, valid)
        return results

    def _filled(self, image: NDArray[Any], valid: NDArray[np.bool_] | None) -> NDArray[Any]:
        """Values in output units, ``nodata_fill`` where there are none."""
        if self.value_range is not None:
            image = scale_values(image, self.value_range, type(self).__name__)
        if valid is not None:
            image = image.copy()
            image[~valid] = self.nodata_fill
        return image

    def __repr__(self) -> str:
        return f'{type(self).__name__}(bands={self.bands}, with_labels={self.labels is not None})'


def pair_images(results: dict[str, Any]) -> list[str]:
    """The image files of a sample, one per date.

    Raises:
        ValueError: the sample names no second date.
    """
    paths = results.get('img_paths') or [results.get('img_path_from'), results.get('img_path_to')]
    if not all(paths):
        raise ValueError(
            'LoadChangePair: the sample names no img_path_from and img_path_to. Use imbdense.ChangePairDataset.'
        )
    return [str(path) for path in paths]


def _ignore_nodata(results: dict[str, Any], valid: Sequence[NDArray[np.bool_] | None]) -> None:
    """Labels where a date has no data become 255: the change map, and the land cover of that date."""
    for date, mask in enumerate(valid):
        for key in (CHANGE, date_key(date)):
            if mask is not None and key in results:
                results[key][~mask] = 255


def _size(image: NDArray[Any]) -> str:
    """Height, width and bands in a message."""
    return ' x '.join(map(str, image.shape))
