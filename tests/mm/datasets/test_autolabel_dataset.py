"""Human labels where there are some, autolabels elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('mmseg')

from mmengine.registry import DATASETS, DefaultScope

from imbdense.mm.datasets.statistics import class_counts, class_table
from tests.integration.tiny_data import write_segmentation

CLASSES = ('ground', 'road', 'car', 'mast')
PIPELINE = [dict(type='imbdense.LoadSegMask')]


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four images; autolabels for all of them that are 0 everywhere."""
    from PIL import Image

    write_segmentation(tmp_path, len(CLASSES))
    for path in (tmp_path / 'labels' / 'train').iterdir():
        target = tmp_path / 'auto' / path.name
        target.parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((64, 64), np.uint8)).save(target)
    (tmp_path / 'selected.txt').write_text('001\n003\n')
    return tmp_path


def part(root: Path, labels: str, ann_file: str = '', classes: Any = CLASSES, images: str = 'images/train') -> Any:
    """The config of one part."""
    return dict(type='imbdense.SegFolderDataset', metainfo=dict(classes=classes), data_root=str(root),
                data_prefix=dict(img_path=images, seg_map_path=labels), ann_file=ann_file, pipeline=PIPELINE)


def build(**parts: Any) -> Any:
    """The wrapper."""
    return DATASETS.build(dict(type='imbdense.AutolabelDataset', **parts))


def test_a_human_label_replaces_the_autolabel(root: Path) -> None:
    dataset = build(human=part(root, 'labels/train', 'selected.txt'), autolabels=part(root, 'auto'))
    assert len(dataset) == 4 and dataset.num_human == 2
    names = [Path(dataset.get_data_info(i)['img_path']).stem for i in range(4)]
    assert names == ['001', '003', '000', '002']
    maps = [dataset[i]['gt_seg_map'] for i in range(4)]
    assert all(found.max() == 255 for found in maps[:2]) and all((found == 0).all() for found in maps[2:])
    assert (dataset[-1]['gt_seg_map'] == maps[3]).all()
    with pytest.raises(IndexError):
        dataset[4]


def test_a_copy_under_another_name_is_replaced_too(root: Path) -> None:
    shutil.copytree(root / 'images' / 'train', root / 'copy')
    (root / 'copy' / '003.png').rename(root / 'copy' / 'x.png')
    (root / 'auto' / '003.png').rename(root / 'auto' / 'x.png')
    dataset = build(human=part(root, 'labels/train', 'selected.txt'), autolabels=part(root, 'auto', images='copy'))
    assert len(dataset) == 4


def test_without_human_labels_all_are_autolabels(root: Path) -> None:
    dataset = build(autolabels=part(root, 'auto'))
    assert len(dataset) == 4 and dataset.num_human == 0 and dataset.metainfo['classes'] == CLASSES


def test_statistics_see_both_parts(root: Path) -> None:
    dataset = build(human=part(root, 'labels/train', 'selected.txt'), autolabels=part(root, 'auto'))
    human = DATASETS.build(part(root, 'labels/train', 'selected.txt'))
    counts = class_counts(dataset)
    expected = class_counts(human).pixels.copy()
    expected[0] += 2 * 64 * 64
    assert counts.pixels.tolist() == expected.tolist() and counts.num_images == 4
    assert dataset.get_cat_ids(0) == human.get_cat_ids(0) and dataset.get_cat_ids(3) == [0]
    assert class_table(dataset).classes_of(2).tolist() == [0]


def test_other_classes_are_refused(root: Path) -> None:
    with pytest.raises(ValueError, match='lamp'):
        build(human=part(root, 'labels/train'), autolabels=part(root, 'auto', classes=('ground', 'lamp')))
