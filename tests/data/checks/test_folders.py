"""Data sets recognised by their folders."""

import pytest

from imbdense.data.checks.folders import folder_splits, looks_like_coco
from imbdense.data.checks.splits import DetectionSplit, SegmentationSplit
from imbdense.data.readers.errors import LabelReadError
from tests.data.label_files import CLASSES, write_coco, write_labels, write_seg_folder


def test_sub_folders_and_split_files(tmp_path):
    root = write_seg_folder(tmp_path)
    splits = folder_splits(root)
    assert [(split.name, len(split.labels)) for split in splits] == [('train', 4), ('val', 2)]
    assert splits[0].classes == CLASSES
    (root / 'splits').mkdir()
    (root / 'splits' / 'small.txt').write_text('train/001\nval/100\n')
    (split,) = folder_splits(root)
    assert (split.name, len(split.labels), split.cache_name) == ('small', 2, 'small')


def test_a_folder_of_masks_names_classes_by_value(tmp_path):
    write_labels(tmp_path, 3)
    (split,) = folder_splits(tmp_path)
    assert isinstance(split, SegmentationSplit)
    assert split.classes == ('0', '1', '2', '3')


def test_a_set_with_masks_and_boxes_is_taken_as_asked(tmp_path):
    root = write_seg_folder(tmp_path)
    write_coco(root / 'annotations' / 'train.json')
    (root / 'annotations' / 'notes.json').write_text('[1]')
    assert isinstance(folder_splits(root)[0], SegmentationSplit)
    (split,) = folder_splits(root, task='detection')
    assert isinstance(split, DetectionSplit)
    assert split.images[0].endswith('images/train/a.png')


def test_a_single_json(tmp_path):
    path = write_coco(tmp_path / 'annotations' / 'val.json')
    assert looks_like_coco(path)
    assert folder_splits(path)[0].classes == ('cat', 'dog')
    (tmp_path / 'config.json').write_text('{"train_dataloader": {}}')
    assert not looks_like_coco(tmp_path / 'config.json')


def test_an_unknown_layout_lists_the_known_ones(tmp_path):
    (tmp_path / 'readme.txt').write_text('hello')
    with pytest.raises(LabelReadError, match=r'(?s)laid out in no way known.*images/ and labels/'):
        folder_splits(tmp_path)
    with pytest.raises(LabelReadError, match='does not exist'):
        folder_splits(tmp_path / 'none')
