"""The annotation file, read back by mmdet's and our data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imbdense.data.pseudo import PseudoBoxes, coco_record


def boxes(name: str, count: int) -> PseudoBoxes:
    """Boxes of width 10 and height 5; the last one in the ignore band."""
    left = np.arange(count, dtype=np.float32)
    return PseudoBoxes(
        name, (40, 60), np.stack([left, left, left + 10, left + 5], axis=1).reshape(-1, 4),
        np.arange(count) % 2, np.full(count, 0.8, np.float32), np.arange(count) == count - 1,
    )  # fmt: skip


def test_record() -> None:
    record = coco_record([boxes('a.png', 2), boxes('b.png', 0)], ('car', 'mast'))
    assert [image['file_name'] for image in record['images']] == ['a.png', 'b.png']
    assert record['images'][0] | {'id': 1, 'height': 40, 'width': 60} == record['images'][0]
    first, second = record['annotations']
    assert first | {'bbox': [0, 0, 10, 5], 'area': 50, 'category_id': 1, 'iscrowd': 0, 'score': 0.8} == first
    assert (second['category_id'], second['iscrowd']) == (2, 1)


@pytest.mark.parametrize('reader', ['mmdet.CocoDataset', 'imbdense.AnyCocoDataset'])
def test_band_becomes_ignored_instances(tmp_path: Path, reader: str) -> None:
    pytest.importorskip('mmdet')
    from mmdet.utils import register_all_modules
    from mmengine.registry import DATASETS

    register_all_modules(init_default_scope=True)
    path = tmp_path / 'pseudo_labels.json'
    path.write_text(json.dumps(coco_record([boxes('a.png', 3), boxes('b.png', 0)], ('car', 'mast'))))
    settings = {'ann_file': str(path), 'data_prefix': {'img': ''}, 'metainfo': {'classes': ('car', 'mast')}}
    dataset: Any = DATASETS.build({'type': reader, **settings})
    instances = dataset.get_data_info(0)['instances']
    assert [(item['bbox_label'], item['ignore_flag']) for item in instances] == [(0, 0), (1, 0), (0, 1)]
    assert instances[1]['bbox'] == [1, 1, 11, 6]
