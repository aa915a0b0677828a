"""Segmentation folders and generated scenes."""

import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmseg')

from imbdense.data.readers import LabelReadError
from imbdense.registry import DATASETS
from tests.data.label_files import CLASSES, random_label, write_label, write_seg_folder


def build(root, **options):
    """Through the registry, as a config does."""
    return DATASETS.build(
        {
            'type': 'imbdense.SegFolderDataset',
            'data_root': str(root),
            'metainfo': {'classes': CLASSES},
            'data_prefix': {'img_path': 'images/train', 'seg_map_path': 'labels/train'},
            **options,
        }
    )


@pytest.fixture
def root(tmp_path):
    """A folder with train and val."""
    return write_seg_folder(tmp_path)


def test_pairs_and_cat_ids(root):
    dataset = build(root)
    assert len(dataset) == 4
    for index in range(4):
        expected = sorted(set(np.unique(random_label(index)).tolist()) - {255})
        assert dataset.get_cat_ids(index) == expected
    assert 'class_pixels' not in dataset.get_data_info(0)


def test_types_may_be_mixed(root):
    image = root / 'images' / 'train' / '000.png'
    Image.open(image).save(image.with_suffix('.jpg'))
    image.unlink()
    label = root / 'labels' / 'train' / '001.png'
    write_label(label.with_suffix('.tif'), random_label(1))
    label.unlink()
    records = [build(root).get_data_info(index) for index in range(4)]
    assert records[0]['img_path'].endswith('000.jpg')
    assert records[1]['seg_map_path'].endswith('001.tif')


def test_a_split_file_gives_the_order(root):
    (root / 'list.txt').write_text('003\n001.png\n')
    dataset = build(root, ann_file='list.txt')
    assert [dataset.get_data_info(i)['img_path'][-7:] for i in range(2)] == ['003.png', '001.png']


def test_a_missing_label_is_named_when_built(root):
    (root / 'labels' / 'train' / '002.png').unlink()
    with pytest.raises(LabelReadError, match=r'labels/train/002'):
        build(root)


def test_no_classes_is_an_error(root):
    with pytest.raises(ValueError, match='class names'):
        build(root, metainfo=None)


def test_unknown_argument_is_a_type_error(root):
    with pytest.raises(TypeError, match='sufix'):
        build(root, img_sufix='.png')


def test_the_crop_gets_positions_also_after_a_subset(root):
    pipeline = [
        {'type': 'LoadImageFromFile'},
        {'type': 'imbdense.LoadSegMask'},
        {'type': 'imbdense.RareClassCrop', 'crop_size': 16, 'rate': 1.0},
    ]
    dataset = build(root, pipeline=pipeline)
    dataset.get_subset_([3, 1])
    for index, image in enumerate((3, 1)):
        pixels = dataset.get_data_info(index)['class_pixels']
        for klass, where in pixels.items():
            assert (random_label(image)[where[:, 0], where[:, 1]] == klass).all()
    assert dataset[0]['gt_seg_map'].shape == (16, 16)


def scene_root(root):
    """The generated layout."""
    record = {
        'classes': list(CLASSES),
        'palette': [[i, i, i] for i in range(4)],
        'ignore_index': 255,
        'splits': {'train': {'images': ['000.png']}, 'val': {'images': ['100.png']}, 'test': {'images': []}},
    }
    (root / 'dataset.json').write_text(json.dumps(record))
    return root


def test_scene_dataset(root):
    dataset = DATASETS.build({'type': 'imbdense.SceneDataset', 'data_root': str(scene_root(root)), 'split': 'val'})
    assert len(dataset) == 2
    assert dataset.metainfo['classes'] == CLASSES
    assert dataset.metainfo['palette'][3] == [3, 3, 3]


@pytest.mark.parametrize(
    ('content', 'words'),
    [(None, 'does not exist.*imbdense generate scenes'), ('{', 'cannot be read'), ('{}', r"lacks \['classes'")],
)
def test_scenes_that_are_not_there(root, content, words):
    if content is not None:
        (root / 'dataset.json').write_text(content)
    with pytest.raises(LabelReadError, match=words):
        DATASETS.build({'type': 'imbdense.SceneDataset', 'data_root': str(root)})


def test_a_split_without_images(root):
    with pytest.raises(LabelReadError, match="no images in the split 'test'"):
        DATASETS.build({'type': 'imbdense.SceneDataset', 'data_root': str(scene_root(root)), 'split': 'test'})
