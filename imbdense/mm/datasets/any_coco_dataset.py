"""Data set: any COCO detection json."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmdet.datasets import BaseDetDataset
from mmengine.logging import print_log

from imbdense.data.readers.coco import read_coco
from imbdense.data.readers.detection import DetectionAnnotations
from imbdense.data.readers.errors import LabelReadError
from imbdense.registry import DATASETS


@DATASETS.register_module()
class AnyCocoDataset(BaseDetDataset):
    """Detection from any COCO json, with the classes of the file.

    Where mmdet's ``CocoDataset`` silently has no boxes when the class names differ, and crashes on spelling variants,
    this one takes the classes from the file, accepts ``annotation``/``filename``, ids from 0 or with gaps and missing
    areas, clips boxes to the image, drops those without area and logs how many. Crowd boxes are ignore regions.

    Args:
        ann_file: the json.
        metainfo: ``classes`` to choose and order classes; default all categories by ascending id.
        data_root: joined in front of ``ann_file`` and ``data_prefix``.
        data_prefix: ``img``, the image folder.
        filter_empty: leave out images without an object (training; a detector learns nothing from them unless its
            loss has background terms). Never in test mode.
        min_size: leave out images with a side below this many pixels.
        pipeline, indices, test_mode, serialize_data, lazy_init, max_refetch: as in mmengine.

    Raises:
        LabelReadError: the file is missing, broken, empty, or lacks a class; or no image is left.
    """

    card = 'class_statistics'
    tasks = ('detection',)
    METAINFO: dict[str, Any] = {}

    def __init__(
        self,
        ann_file: str,
        metainfo: Mapping[str, Any] | None = None,
        data_root: str | None = None,
        data_prefix: Mapping[str, str] | None = None,
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
        super().__init__(
            ann_file=ann_file,
            metainfo=dict(metainfo or {}),
            data_root=data_root,
            data_prefix=dict(data_prefix or {'img': ''}),
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the json; sets the classes when the config names none."""
        found = read_coco(self.ann_file, self._metainfo.get('classes'))
        return detection_records(self, found, self.data_prefix.get('img') or '')

    def filter_data(self) -> list[dict[str, Any]]:
        """Without empty or small images where asked."""
        return filter_records(self, self._filter_empty, self._min_size)


def detection_records(dataset: BaseDetDataset, found: DetectionAnnotations, image_dir: str) -> list[dict[str, Any]]:
    """mmdet records of what a reader found; logs the findings, sets ``classes``, ``cat_ids`` and ``cat2label``.

    Raises:
        LabelReadError: there is no object at all to train on.
    """
    for finding in found.findings:
        print_log(str(finding), logger='current', level=logging.WARNING if finding.severity != 'note' else logging.INFO)
    if not dataset.test_mode and (len(found.labels) == 0 or bool(found.crowd.all())):
        raise LabelReadError(
            found.source,
            'empty',
            f'has no object of the classes {list(found.classes)} to train on.',
            'Check the class names and the annotations; `imbdense check CONFIG` tells more.',
        )
    dataset._metainfo['classes'] = tuple(found.classes)
    dataset.cat_ids = list(found.category_ids)
    dataset.cat2label = {identifier: label for label, identifier in enumerate(found.category_ids)}
    records = []
    for index, image in enumerate(found.images):
        instances = []
        for number in found.objects_of(index):
            instance: dict[str, Any] = {
                'bbox': found.boxes[number].tolist(),
                'bbox_label': int(found.labels[number]),
                'ignore_flag': int(found.crowd[number]),
            }
            if found.masks[number] is not None:
                instance['mask'] = found.masks[number]
            instances.append(instance)
        records.append(
            {
                'img_path': os.path.join(image_dir, image.file_name),
                'img_id': image.id,
                'height': image.height,
                'width': image.width,
                'seg_map_path': None,
                'instances': instances,
            }
        )
    return records


def filter_records(dataset: BaseDetDataset, filter_empty: bool, min_size: int) -> list[dict[str, Any]]:
    """Records without empty (no object that counts) and small images; all of them in test mode."""
    if dataset.test_mode:
        return dataset.data_list
    return [
        record
        for record in dataset.data_list
        if min(record['width'], record['height']) >= min_size
        and not (filter_empty and all(instance['ignore_flag'] for instance in record['instances']))
    ]
