"""Faults of detection data."""

from imbdense.data.checks import check_splits
from imbdense.data.checks.folders import folder_splits
from tests.data.label_files import coco_record, write_coco, write_image
from tests.helpers.shared_data import shared_data_dir


def write_set(root, **changes):
    """images/ and annotations/train.json."""
    write_coco(root / 'annotations' / 'train.json', coco_record(**changes))
    write_image(root / 'images' / 'train' / 'a.png', (80, 100), seed=1)
    write_image(root / 'images' / 'train' / 'b.png', (50, 60), seed=2)
    return root


def codes(root):
    """(severity, code) of all findings."""
    return {(finding.severity, finding.code) for finding in check_splits(folder_splits(root))}


def test_a_clean_set_has_notes_only(tmp_path):
    assert {severity for severity, _ in codes(write_set(tmp_path))} <= {'note'}


def test_boxes_outside_missing_images_wrong_sizes(tmp_path):
    root = write_set(
        tmp_path,
        annotations=[
            {'id': 1, 'image_id': 7, 'category_id': 3, 'bbox': [90, 10, 20, 30], 'iscrowd': 0},
            {'id': 2, 'image_id': 7, 'category_id': 8, 'bbox': [10, 10, 0, 30], 'iscrowd': 0},
            {'id': 3, 'image_id': 9, 'category_id': 8, 'bbox': [10, 10, 9, 9], 'iscrowd': 0},
            {'id': 4, 'image_id': 9, 'category_id': 55, 'bbox': [10, 10, 9, 9], 'iscrowd': 0},
        ],
    )
    (root / 'images' / 'train' / 'a.png').unlink()
    write_image(root / 'images' / 'train' / 'b.png', (60, 50))
    found = codes(root)
    assert {
        ('warning', 'box_outside'),
        ('warning', 'degenerate_box'),
        ('error', 'unknown_category'),
        ('error', 'image_missing'),
        ('error', 'size'),
    } <= found
    turned = [finding for finding in check_splits(folder_splits(root)) if finding.code == 'size']
    assert 'It is turned' in turned[0].message


def test_a_set_without_objects_is_an_error(tmp_path):
    assert ('error', 'empty') in codes(write_set(tmp_path, annotations=[]))


def test_real_sets_have_no_errors():
    assert not [f for f in check_splits(folder_splits(shared_data_dir('bccd'))) if f.severity == 'error']
    splits = [split for split in folder_splits(shared_data_dir('hit_uav')) if split.name in ('train', 'val')]
    found = check_splits(splits)
    assert not [finding for finding in found if finding.severity == 'error']
    assert any('6 images without an object' in finding.message for finding in found)
