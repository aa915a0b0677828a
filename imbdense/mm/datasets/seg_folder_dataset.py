"""Data set: a folder of images and a folder of segmentation labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from mmseg.datasets import BaseSegDataset
from numpy.typing import NDArray

from imbdense.data.readers.splits import pair_files, read_split
from imbdense.mm.datasets.statistics import class_table, pixel_index
from imbdense.registry import DATASETS


@DATASETS.register_module()
class SegFolderDataset(BaseSegDataset):
    """Images and segmentation labels in two folders, with any class list.

    Where mmseg's ``BaseSegDataset`` wants one image suffix and takes what it finds, this one knows all usual types
    (jpg, png, tif, ... in any mix and in sub-folders), names the missing partner of a pair when it is built, and tells
    samplers which classes an image holds (:meth:`get_cat_ids`, from the scan cache, without reading the labels again).
    Labels may be index PNG, grey PNG, TIFF or GeoTIFF; colour-coded masks need ``imbdense.LoadSegMask(palette=...)``.

    When the pipeline holds ``imbdense.RareClassCrop`` the labels are scanned (once, cached) when the data set is
    built, and each record carries ``class_pixels``: class -> (k, 2) rows and columns of drawn pixels.

    Args:
        metainfo: must name ``classes``; ``palette`` is optional.
        data_root: joined in front of ``ann_file`` and ``data_prefix``.
        data_prefix: ``img_path`` and ``seg_map_path``, the two folders.
        ann_file: split file, one name per line with or without suffix; '' = every image of the folder.
        img_suffix, seg_map_suffix: endings to cut off to get from image to label, e.g. ``_leftImg8bit.png``; '' = the
            file type.
        pipeline: transforms.
        ignore_index, reduce_zero_label: as in mmseg.
        indices: use only these samples.
        test_mode, serialize_data, lazy_init, max_refetch: as in mmengine.

    Raises:
        LabelReadError: a folder, split file, image or label is missing or empty; the message names it and the cure.
        ValueError: no classes.
    """

    card = 'class_statistics'
    tasks = ('segmentation',)
    METAINFO: dict[str, Any] = {}

    def __init__(
        self,
        metainfo: Mapping[str, Any] | None = None,
        data_root: str | None = None,
        data_prefix: Mapping[str, str | None] | None = None,
        ann_file: str = '',
        img_suffix: str = '',
        seg_map_suffix: str = '',
        pipeline: Sequence[dict[str, Any] | Callable[..., Any]] = (),
        ignore_index: int = 255,
        reduce_zero_label: bool = False,
        indices: int | Sequence[int] | None = None,
        test_mode: bool = False,
        serialize_data: bool = True,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        if not (metainfo or {}).get('classes'):
            raise ValueError(f"{type(self).__name__}: give the class names, metainfo=dict(classes=('a', 'b', ...)).")
        self._pixels: Any = None
        super().__init__(
            ann_file=ann_file,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            metainfo=dict(metainfo or {}),
            data_root=data_root,
            data_prefix=dict(data_prefix or {'img_path': 'images', 'seg_map_path': 'labels'}),
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
            ignore_index=ignore_index,
            reduce_zero_label=reduce_zero_label,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """One record per pair, sorted by image or in the order of the split file."""
        names = read_split(self.ann_file) if self.ann_file and not os.path.isdir(self.ann_file) else None
        pairs = pair_files(
            self.data_prefix['img_path'],
            self.data_prefix.get('seg_map_path') or None,
            names,
            image_suffix=self.img_suffix,
            label_suffix=self.seg_map_suffix,
        )
        common = {'label_map': self.label_map, 'reduce_zero_label': self.reduce_zero_label}
        records = []
        for image, label in pairs:
            record = {'img_path': image, **common, 'seg_fields': []}
            if label is not None:
                record['seg_map_path'] = label
            records.append(record)
        return records

    def full_init(self) -> None:
        """Load the list; scan the labels when the pipeline wants class positions."""
        known = self._fully_initialized
        super().full_init()
        if not known and not self.test_mode and self._wants_pixels():
            self._pixels = pixel_index(self)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Classes that occur in the label of sample ``idx``, ascending; the first call scans the labels (cached)."""
        return [int(klass) for klass in class_table(self).classes_of(idx)]

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The record of a sample, with ``class_pixels`` where the pipeline wants it."""
        record: dict[str, Any] = super().get_data_info(idx)
        if self._pixels is not None:
            record['class_pixels'] = self._class_pixels(record['sample_idx'])
        return record

    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Keep some samples only, in place; the positions follow."""
        super().get_subset_(indices)
        if self._pixels is not None:
            self._pixels = pixel_index(self)

    def _class_pixels(self, idx: int) -> dict[int, NDArray[np.int32]]:
        """Class -> drawn positions."""
        return {int(klass): self._pixels.positions(idx, int(klass)) for klass in self._pixels.classes_of(idx)}

    def _wants_pixels(self) -> bool:
        """Whether a class-centred crop is in the pipeline."""
        return any(type(transform).__name__ == 'RareClassCrop' for transform in self.pipeline.transforms)
