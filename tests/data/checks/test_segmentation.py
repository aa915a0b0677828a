"""Faults of segmentation data: each is found, with its file."""

import shutil

import numpy as np
import pytest

from imbdense.data.checks import check_splits
from imbdense.data.checks.folders import folder_splits
from imbdense.data.checks.splits import SegmentationSplit
from imbdense.data.readers import LabelFormat
from tests.data.label_files import CLASSES, random_label, write_image, write_label, write_seg_folder


@pytest.fixture
def root(tmp_path):
    """A clean data set."""
    return write_seg_folder(tmp_path / 'data')


def found_in(root):
    """code -> findings."""
    findings = {}
    for finding in check_splits(folder_splits(root), workers=0):
        findings.setdefault(finding.code, []).append(finding)
    return findings


def test_a_clean_data_set_has_no_findings(root):
    assert found_in(root) == {}


def break_value(root):
    write_label(root / 'labels/train/001.png', np.where(random_label(1) == 2, 200, random_label(1)).astype(np.uint8))


def break_colours(root):
    write_label(root / 'labels/train/001.png', np.repeat(random_label(1)[..., None], 3, axis=2))


def break_size(root):
    write_image(root / 'images/train/001.png', (41, 56))


def break_label_file(root):
    path = root / 'labels/train/001.png'
    path.write_bytes(path.read_bytes()[:70])


def break_image_file(root):
    path = root / 'images/train/001.png'
    path.write_bytes(path.read_bytes()[:-40])


def break_image_header(root):
    (root / 'images/train/001.png').write_bytes(b'no image')


def break_empty(root):
    write_label(root / 'labels/train/001.png', np.full((40, 56), 255, np.uint8))


@pytest.mark.parametrize(
    ('damage', 'code', 'severity', 'file'),
    [
        (break_value, 'values', 'error', 'labels/train/001.png'),
        (break_colours, 'colours', 'error', 'labels/train/001.png'),
        (break_size, 'size', 'error', 'images/train/001.png'),
        (break_label_file, 'unreadable', 'error', 'labels/train/001.png'),
        (break_image_file, 'image_truncated', 'error', 'images/train/001.png'),
        (break_image_header, 'image_unreadable', 'error', 'images/train/001.png'),
        (break_empty, 'empty_label', 'warning', 'labels/train/001.png'),
    ],
)
def test_each_fault_is_found_alone_with_its_file(root, damage, code, severity, file):
    damage(root)
    findings = found_in(root)
    assert list(findings) == [code]
    (finding,) = findings[code]
    assert finding.severity == severity
    assert finding.file.endswith(file)
    assert finding.split == 'train'
    assert finding.cure


def test_missing_partners_are_all_listed(root):
    for path in ('labels/train/001.png', 'labels/train/002.png', 'images/val/100.png'):
        (root / path).unlink()
    findings = found_in(root)
    assert [finding.file[-9:] for finding in findings['missing']] == ['train/001', 'train/002']
    assert findings['label_without_image'][0].file.endswith('labels/val/100.png')


def test_the_same_image_in_two_splits_is_an_error_and_twice_in_one_a_warning(root):
    shutil.copy(root / 'images/train/001.png', root / 'images/val/100.png')
    shutil.copy(root / 'images/train/002.png', root / 'images/train/003.png')
    findings = found_in(root)
    assert findings['duplicate_across_splits'][0].severity == 'error'
    assert 'val/100.png' in findings['duplicate_across_splits'][0].message
    assert findings['duplicate'][0].severity == 'warning'


def test_an_absent_class_is_a_warning(root):
    (root / 'classes.txt').write_text('\n'.join([*CLASSES, 'unicorn']))
    findings = found_in(root)
    assert "['unicorn']" in findings['absent_class'][0].message


def split_of(tmp_path, values, **options):
    """A split whose labels hold ``values``."""
    labels = [write_label(tmp_path / f'{i}.png', np.resize(np.array(values, np.uint8), (9, 9))) for i in range(3)]
    label_format = LabelFormat.of(CLASSES, **options)
    return SegmentationSplit('train', (), tuple(map(str, labels)), label_format)


@pytest.mark.parametrize(
    ('values', 'options', 'severity', 'words'),
    [
        ([0, 1, 2, 3, 4], {}, 'error', 'set reduce_zero_label=True'),
        ([0, 1, 2, 3], {'reduce_zero_label': True}, 'error', 'reduce_zero_label=False'),
        ([1, 2, 3, 4], {'reduce_zero_label': True}, 'warning', 'holds 0'),
        ([0, 1, 2, 3, 4], {'reduce_zero_label': True}, None, ''),
        ([0, 1, 2, 3], {}, None, ''),
        ([0, 1, 2, 3, 4, 9], {}, None, ''),
    ],
)
def test_reduce_zero_label_mistakes(tmp_path, values, options, severity, words):
    findings = check_splits([split_of(tmp_path, values, **options)], workers=0)
    about = [finding for finding in findings if finding.code == 'reduce_zero_label']
    assert [finding.severity for finding in about] == ([severity] if severity else [])
    if severity:
        assert words.lower() in (about[0].message + about[0].cure).lower()


def test_mostly_ignored(tmp_path):
    findings = check_splits([split_of(tmp_path, [255, 255, 255, 0, 1, 2, 3, 255])], workers=0)
    assert 'mostly_ignored' in {finding.code for finding in findings}


def test_different_class_lists_are_an_error(tmp_path):
    one = split_of(tmp_path, [0, 1, 2, 3])
    two = SegmentationSplit('val', (), one.labels, LabelFormat.of(CLASSES[::-1]))
    assert 'classes_differ' in {finding.code for finding in check_splits([one, two], workers=0)}
