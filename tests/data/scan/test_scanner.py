"""Counts of label files: against numpy, on real data, from the cache, whatever the number of workers."""

import os

import numpy as np
import pytest

from imbdense.core.stats import ClassCounts
from imbdense.data.readers import LabelFormat, LabelReadError
from imbdense.data.scan import scan_labels
from tests.data.label_files import CLASSES, random_label, write_label, write_labels
from tests.helpers.shared_data import shared_data_dir

FORMAT = LabelFormat.of(CLASSES)


def test_counts_equal_numpy(tmp_path):
    files = write_labels(tmp_path, 6)
    found = scan_labels(files, FORMAT, workers=1)
    labels = np.stack([random_label(i) for i in range(6)])
    dense = np.stack([np.bincount(label.ravel(), minlength=256)[:4] for label in labels])
    assert found.counts.pixels.tolist() == dense.sum(0).tolist()
    assert found.counts.ignored_pixels == int((labels == 255).sum())
    assert found.counts.images.tolist() == (dense > 0).sum(0).tolist()
    assert found.counts.image_pixels.tolist() == ((dense > 0) * dense.sum(1, keepdims=True)).sum(0).tolist()
    assert found.counts.cooccurrence.tolist() == ((dense > 0).T.astype(int) @ (dense > 0)).tolist()
    assert found.counts.object_sizes.sum(1).tolist() == found.counts.regions.tolist()
    for row in range(6):
        assert found.table.amounts_of(row).tolist() == dense[row][dense[row] > 0].tolist()
    assert found.findings == ()


def test_the_pixel_index_points_at_its_class(tmp_path):
    files = write_labels(tmp_path, 3)
    index = scan_labels(files, FORMAT, workers=1).pixel_index
    for image in range(3):
        label = random_label(image)
        assert index.size(image) == label.shape
        for klass in index.classes_of(image):
            positions = index.positions(image, int(klass))
            assert 0 < len(positions) <= 64
            assert (label[positions[:, 0], positions[:, 1]] == klass).all()
    assert index.positions(0, 17).shape == (0, 2)
    twice = index.subset([2, 0, 2])
    assert np.array_equal(twice.positions(0, 1), index.positions(2, 1))
    assert np.array_equal(twice.positions(1, 1), index.positions(0, 1))


def test_workers_do_not_change_the_bytes(tmp_path):
    one, two = tmp_path / 'one', tmp_path / 'two'
    for folder in (one, two):
        for path in write_labels(folder, 40):
            os.utime(path, ns=(10**18, 10**18))
    first = scan_labels(sorted(one.glob('*.png')), FORMAT, workers=1)
    second = scan_labels(sorted(two.glob('*.png')), FORMAT, workers=3)
    assert first.counts.to_json() == second.counts.to_json()
    assert first.cache_file.read_bytes() == second.cache_file.read_bytes()


def test_the_second_scan_reads_nothing_and_a_changed_file_alone_is_read_again(tmp_path):
    files = write_labels(tmp_path, 5)
    first = scan_labels(files, FORMAT, workers=1)
    assert first.fresh == 5
    assert ClassCounts.from_json((tmp_path / 'class_counts.json').read_text()).pixels.tolist() == (
        first.counts.pixels.tolist()
    )
    again = scan_labels(files, FORMAT, workers=1)
    assert again.fresh == 0
    assert again.counts.to_json() == first.counts.to_json()
    write_label(files[2], np.full((8, 8), 3, np.uint8))
    changed = scan_labels(files, FORMAT, workers=1)
    assert changed.fresh == 1
    assert changed.counts.fingerprint != first.counts.fingerprint
    assert changed.table.amounts_of(2).tolist() == [64]


def test_splits_share_a_cache_and_files_keep_their_order(tmp_path):
    files = write_labels(tmp_path, 6)
    scan_labels(files[:3], FORMAT, name='train', workers=1)
    val = scan_labels(files[:2:-1], FORMAT, name='val', workers=1)
    assert val.fresh == 3
    assert sorted(path.name for path in tmp_path.glob('class_counts*')) == [
        'class_counts_train.json',
        'class_counts_val.json',
    ]
    assert scan_labels([files[5], files[0], files[5]], FORMAT, workers=1).table.amounts_of(0).tolist() == (
        val.table.amounts_of(0).tolist()
    )
    assert scan_labels(files, FORMAT, workers=1).fresh == 0


def test_other_settings_have_their_own_cache(tmp_path):
    files = write_labels(tmp_path, 2)
    scan_labels(files, FORMAT, workers=1)
    shifted = scan_labels(files, LabelFormat.of(CLASSES[1:], reduce_zero_label=True), workers=1)
    assert shifted.fresh == 2
    renamed = scan_labels(files, LabelFormat.of(('a', 'b', 'c', 'd')), workers=1)
    assert renamed.fresh == 0
    assert renamed.counts.classes == ('a', 'b', 'c', 'd')
    quick = scan_labels(files, FORMAT, regions=False, positions=0, workers=1)
    assert quick.counts.regions is None
    assert quick.counts.pixels.tolist() == renamed.counts.pixels.tolist()


def test_broken_files_are_findings_that_name_them_and_are_tried_again(tmp_path):
    files = write_labels(tmp_path, 4)
    whole = files[1].read_bytes()
    files[1].write_bytes(whole[:60])
    write_label(files[2], np.array([[0, 1, 99]], np.uint8))
    write_label(files[3], np.zeros((4, 4, 3), np.uint8))
    found = scan_labels([*files, tmp_path / 'gone.png'], FORMAT, workers=1)
    assert {(os.path.basename(f.file), f.code) for f in found.findings} == {
        ('001.png', 'unreadable'),
        ('002.png', 'values'),
        ('003.png', 'colours'),
        ('gone.png', 'missing'),
    }
    assert any('99 (1 px)' in finding.message for finding in found.findings)
    assert len(found.table) == 5
    assert found.counts.num_images == 2
    with pytest.raises(LabelReadError, match=r'001\.png.*\n.*003\.png.*\n.*\n  and 1 more'):
        found.raise_for_errors()
    files[1].write_bytes(whole)
    assert not [f for f in scan_labels(files, FORMAT, workers=1).findings if f.file.endswith('001.png')]


def test_no_files_is_an_error():
    with pytest.raises(ValueError, match='no label files'):
        scan_labels([], FORMAT)


@pytest.mark.parametrize(
    ('name', 'classes', 'expected'),
    [
        ('dubai_aerial', 5, {'train': [14.09, 63.90, 10.47, 6.94, 4.61], 'val': [2.24, 40.66, 5.20, 3.36, 48.53]}),
        ('dsb2018_nuclei', 3, {'all': [82.72, 16.70, 0.58]}),
    ],
)
def test_shares_are_those_of_the_readme(name, classes, expected):
    root = shared_data_dir(name)
    label_format = LabelFormat.of([str(i) for i in range(classes)])
    for split, shares in expected.items():
        if split == 'all':
            files = sorted((root / 'labels').glob('*.png'))
        else:
            files = [root / 'labels' / f'{line}.png' for line in (root / 'splits' / f'{split}.txt').read_text().split()]
        pixels = scan_labels(files, label_format, cache=False, workers=1).counts.pixels
        # The README of dubai_aerial divides by all pixels in one column and by valid ones in the other.
        assert np.allclose(100 * pixels / pixels.sum(), shares, atol=0.16)
