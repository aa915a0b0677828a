"""COCO and VOC with any classes."""

import pytest

pytest.importorskip('mmdet')

from imbdense.data.readers import LabelReadError
from imbdense.mm.datasets.statistics import class_counts
from imbdense.registry import DATASETS
from tests.data.label_files import coco_record, write_coco
from tests.helpers.shared_data import shared_data_dir


def coco(path, **options):
    """Through the registry."""
    return DATASETS.build({'type': 'imbdense.AnyCocoDataset', 'ann_file': str(path), **options})


def test_classes_come_from_the_file(tmp_path):
    dataset = coco(write_coco(tmp_path / 'a.json'))
    assert dataset.metainfo['classes'] == ('cat', 'dog')
    info = dataset.get_data_info(0)
    assert [instance['bbox_label'] for instance in info['instances']] == [0, 1]
    assert info['instances'][0]['bbox'] == [10, 10, 30, 40]
    assert dataset.get_data_info(1)['instances'][0]['ignore_flag'] == 1
    assert dataset.get_cat_ids(0) == [0, 1]
    assert dataset.cat2label == {3: 0, 8: 1}


def test_filters_act_in_training_only(tmp_path):
    path = write_coco(tmp_path / 'a.json')
    assert len(coco(path, filter_empty=True)) == 1
    assert len(coco(path, min_size=55)) == 1
    assert len(coco(path, filter_empty=True, test_mode=True)) == 2


def test_a_file_without_objects_is_refused_for_training_only(tmp_path):
    path = write_coco(tmp_path / 'empty.json', coco_record(annotations=[]))
    with pytest.raises(LabelReadError, match=r'empty\.json: has no object of the classes.*imbdense check'):
        coco(path)
    assert len(coco(path, test_mode=True)) == 2


def test_bccd_and_hit_uav():
    root = shared_data_dir('bccd')
    blood = DATASETS.build(
        {
            'type': 'imbdense.AnyVocDataset',
            'data_root': str(root),
            'ann_file': 'ImageSets/Main/train.txt',
        }
    )
    assert dict(zip(blood.metainfo['classes'], class_counts(blood).instances.tolist())) == {
        'Platelets': 209,
        'RBC': 2382,
        'WBC': 214,
    }
    drone = coco(
        shared_data_dir('hit_uav') / 'annotations' / 'train.json',
        metainfo={'classes': ('OtherVehicle', 'Bicycle', 'Car', 'Person')},
    )
    assert class_counts(drone).instances.tolist() == [76, 254, 572, 504]
