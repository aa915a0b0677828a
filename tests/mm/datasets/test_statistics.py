"""Statistics of data set objects of the hosts, plain and wrapped."""

import numpy as np
import pytest

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')

from mmdet.datasets import CocoDataset, XMLDataset
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset
from mmseg.datasets import BaseSegDataset
from torch.utils.data import Subset

from imbdense.data.readers import LabelReadError
from imbdense.mm.datasets.statistics import class_counts, class_table, pixel_index
from tests.data.label_files import CLASSES, random_label, write_coco, write_image, write_label, write_seg_folder
from tests.helpers.shared_data import shared_data_dir


def seg(root, split='train', **options):
    """An unmodified mmseg data set."""
    return BaseSegDataset(
        data_root=str(root),
        data_prefix={'img_path': f'images/{split}', 'seg_map_path': f'labels/{split}'},
        img_suffix='.png',
        metainfo={'classes': CLASSES},
        **options,
    )


@pytest.fixture
def root(tmp_path):
    """A folder with train and val."""
    return write_seg_folder(tmp_path)


@pytest.mark.parametrize('options', [{}, {'serialize_data': False}, {'lazy_init': True}, {'indices': [2, 0]}])
def test_a_host_data_set_in_its_own_order(root, options):
    dataset = seg(root, **options)
    table = class_table(dataset)
    for index, image in enumerate([2, 0] if 'indices' in options else range(4)):
        expected = np.bincount(random_label(image).ravel(), minlength=256)[:4]
        assert table.amounts_of(index).tolist() == expected[expected > 0].tolist()
        where = pixel_index(dataset).positions(index, 1)
        assert (random_label(image)[where[:, 0], where[:, 1]] == 1).all()
    counts = class_counts(dataset)
    assert counts.classes == CLASSES
    assert counts.pixels.tolist() == table.totals.tolist()
    assert counts.regions.sum() > 0


def test_wrappers_are_seen_through(root):
    train, val = seg(root), seg(root, 'val')
    part = {
        'type': 'imbdense.SegFolderDataset',
        'data_root': str(root),
        'metainfo': {'classes': CLASSES},
    }
    parts = [
        {**part, 'data_prefix': {'img_path': f'images/{split}', 'seg_map_path': f'labels/{split}'}}
        for split in ('train', 'val')
    ]
    joined = RepeatDataset({'type': 'ConcatDataset', 'datasets': parts}, 3)
    assert len(class_table(ConcatDataset([train, val]))) == 6
    table = class_table(joined)
    assert len(table) == len(joined) == 18
    assert (
        class_counts(joined).pixels.tolist() == (3 * (class_counts(train).pixels + class_counts(val).pixels)).tolist()
    )
    assert class_counts(joined).num_images == 18
    assert np.array_equal(table.amounts_of(11), class_table(val).amounts_of(1))
    assert np.array_equal(pixel_index(joined).positions(10, 2), pixel_index(val).positions(0, 2))
    assert class_table(Subset(train, [3, 3, 0])).amounts_of(1).tolist() == class_table(train).amounts_of(3).tolist()


def test_joined_sets_with_other_classes_are_refused(root):
    other = BaseSegDataset(
        data_root=str(root),
        data_prefix={'img_path': 'images/val', 'seg_map_path': 'labels/val'},
        img_suffix='.png',
        metainfo={'classes': CLASSES[::-1]},
    )
    joined = type('Joined', (), {'datasets': [seg(root), other]})()
    with pytest.raises(ValueError, match='different classes'):
        class_counts(joined)


def test_reduce_zero_label_and_a_subset_of_classes(root):
    reduced = BaseSegDataset(
        data_root=str(root),
        data_prefix={'img_path': 'images/train', 'seg_map_path': 'labels/train'},
        img_suffix='.png',
        metainfo={'classes': CLASSES[1:]},
        reduce_zero_label=True,
    )
    plain = class_counts(seg(root))
    assert class_counts(reduced).pixels.tolist() == plain.pixels[1:].tolist()
    subclass = type('Fixed', (BaseSegDataset,), {'METAINFO': {'classes': CLASSES, 'palette': [[0, 0, 0]] * 4}})
    chosen = subclass(
        data_root=str(root),
        data_prefix={'img_path': 'images/train', 'seg_map_path': 'labels/train'},
        img_suffix='.png',
        metainfo={'classes': ('sign', 'road')},
    )
    assert class_counts(chosen).pixels.tolist() == plain.pixels[[3, 1]].tolist()


def test_a_broken_label_names_the_file(root):
    write_label(root / 'labels' / 'train' / '001.png', np.full((40, 56), 77, np.uint8))
    with pytest.raises(LabelReadError, match=r'train/001\.png.*77'):
        class_counts(seg(root))


def coco(path, classes=('cat', 'dog'), **options):
    """An unmodified mmdet data set."""
    return CocoDataset(ann_file=str(path), metainfo={'classes': classes}, data_prefix={'img': ''}, **options)


def test_detection_counts_objects_but_no_crowd(tmp_path):
    path = write_coco(tmp_path / 'a.json')
    dataset = coco(path)
    assert class_counts(dataset).instances.tolist() == [1, 1]
    assert class_table(dataset).empty_images.tolist() == [1]
    filtered = coco(path, classes=('dog',), filter_cfg={'filter_empty_gt': True})
    assert len(class_table(filtered)) == 1
    with pytest.raises(TypeError, match='boxes'):
        pixel_index(dataset)


def test_hit_uav_and_bccd_with_the_hosts_classes():
    root = shared_data_dir('hit_uav')
    names = ('Person', 'Car', 'Bicycle', 'OtherVehicle')
    dataset = coco(root / 'annotations' / 'train.json', names)
    assert class_counts(dataset).instances.tolist() == [504, 572, 254, 76]
    balanced = ClassBalancedDataset(dataset, 0.3)
    assert len(class_table(balanced)) == len(balanced)
    assert class_counts(balanced).instances.tolist() == class_table(balanced).totals.tolist()
    cells = shared_data_dir('bccd')
    blood = XMLDataset(
        ann_file=str(cells / 'ImageSets' / 'Main' / 'train.txt'),
        data_root=str(cells),
        data_prefix={'sub_data_root': ''},
        metainfo={'classes': ('RBC', 'WBC', 'Platelets')},
    )
    assert class_counts(blood).instances.tolist() == [2382, 214, 209]


def test_what_is_no_data_set_is_a_type_error(root):
    with pytest.raises(TypeError, match='neither'):
        class_table([1, 2, 3])
    write_image(root / 'images' / 'alone' / 'x.png', (4, 4))
    unlabelled = BaseSegDataset(
        data_root=str(root), data_prefix={'img_path': 'images/alone'}, img_suffix='.png', metainfo={'classes': CLASSES}
    )
    with pytest.raises(TypeError, match='neither seg_map_path nor instances'):
        class_table(unlabelled)
