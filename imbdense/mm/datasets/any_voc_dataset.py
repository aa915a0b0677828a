"""Data set: any Pascal VOC folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmdet.datasets import BaseDetDataset

from imbdense.data.readers.voc import read_voc
from imbdense.mm.datasets.any_coco_dataset import detection_records, filter_records
from imbdense.registry import DATASETS


@DATASETS.register_module()
class AnyVocDataset(BaseDetDataset):
    """Detection from a Pascal VOC folder, with whatever class names its XML files hold.

    Images may be of any type; sizes that the XML lacks are read from the image header; boxes are clipped to the image,
    those without area dropped (both logged); ``difficult`` objects are ignore regions.

    Args:
        data_root: folder with ``image_dir`` and ``annotation_dir``.
        ann_file: split file relative to ``data_root`` (``ImageSets/Main/train.txt``); '' = every XML.
        metainfo: ``classes`` to choose and order classes; default all names in the folder, sorted.
        image_dir, annotation_dir: names of the two folders.
        filter_empty, min_size: as in :class:`AnyCocoDataset`.
        pipeline, indices, test_mode, serialize_data, lazy_init, max_refetch: as in mmengine.

    Raises:
        LabelReadError: a folder, XML, image or split file is missing, broken or empty.
    """

    card = 'class_statistics'
    tasks = ('detection',)
    METAINFO: dict[str, Any] = {}

    def __init__(
        self,
        data_root: str,
        ann_file: str = '',
        metainfo: Mapping[str, Any] | None = None,
        image_dir: str = 'JPEGImages',
        annotation_dir: str = 'Annotations',
        filter_empty: bool = False,
        min_size: int = 0,
        pipeline: Sequence[dict[str, Any] | Callable[..., Any]] = (),
        indices: int | Sequence[int] | None = None,
        test_mode: bool = False,
        serialize_data: bool = True,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        self._filter_empty, self._min_size = bool(filter_empty), int(min_size)
        self._folders = (image_dir, annotation_dir)
        super().__init__(
            ann_file=ann_file,
            metainfo=dict(metainfo or {}),
            data_root=data_root,
            data_prefix={},
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """Parse the XML files; sets the classes when the config names none."""
        split = os.path.abspath(self.ann_file) if self.ann_file else None
        found = read_voc(
            self.data_root,
            split,
            self._metainfo.get('classes'),
            image_dir=self._folders[0],
            annotation_dir=self._folders[1],
        )
        return detection_records(self, found, self.data_root)

    def filter_data(self) -> list[dict[str, Any]]:
        """Without empty or small images where asked."""
        return filter_records(self, self._filter_empty, self._min_size)
