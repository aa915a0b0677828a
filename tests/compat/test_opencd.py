"""Data set blocks as open-cd's users have them, run without open-cd."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('mmseg')

from mmengine.registry import DATASETS, TRANSFORMS, DefaultScope

import imbdense.compat.opencd  # noqa: F401
from imbdense.data.readers import LabelReadError
from imbdense.mm.datasets.statistics import class_counts
from tests.data.change.pair_files import land_covers, picture, write_array

CLASSES = ('unchanged', 'building', 'soil', 'road', 'water')
PREFIX = {
    'img_path_from': 'train/im1', 'img_path_to': 'train/im2', 'seg_map_path': 'train/label',
    'seg_map_path_from': 'train/label1', 'seg_map_path_to': 'train/label2',
}  # fmt: skip
TRAIN = [
    {'type': 'MultiImgLoadImageFromFile'},
    {'type': 'MultiImgMultiAnnLoadAnnotations'},
    {'type': 'MultiImgRandomCrop', 'crop_size': (16, 20), 'cat_max_ratio': 0.75},
    {'type': 'MultiImgRandomFlip', 'prob': 0.5},
    {'type': 'MultiImgExchangeTime', 'prob': 0.5},
    {'type': 'MultiImgPackSegInputs'},
]


@pytest.fixture(params=['opencd', 'mmseg'])
def scope(request):
    """The scope of an open-cd config (which nobody knows here), and that of mmseg."""
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope(request.param):
        yield request.param


@pytest.fixture
def root(tmp_path):
    """SECOND's layout: change 0/255, land cover 0 = unchanged."""
    for number in range(5):
        t1, t2, change = land_covers(number)
        for date, label in ((1, t1), (2, t2)):
            write_array(tmp_path / f'train/im{date}/{number}.png', picture(label, date))
            known = np.where((change == 1) & (label != 255), label + 1, 0).astype(np.uint8)
            write_array(tmp_path / f'train/label{date}/{number}.png', known)
        write_array(tmp_path / f'train/label/{number}.png', (255 * (change == 1)).astype(np.uint8))
    return tmp_path


def second(root, **options):
    meta = {'semantic_classes': CLASSES, 'semantic_palette': [[9 * i, 0, 0] for i in range(5)]}
    return DATASETS.build({'type': 'SECOND_Dataset', 'data_root': str(root), 'data_prefix': dict(PREFIX),
                           'format_seg_map': 'to_binary', 'metainfo': meta, 'pipeline': TRAIN, **options})  # fmt: skip


def test_a_semantic_block_runs_and_keeps_dates_and_labels_together(scope, root):
    dataset = second(root)
    assert len(dataset) == 5 and tuple(dataset.metainfo['land_cover']) == CLASSES[1:]
    np.random.seed(0)
    swapped = 0
    for index in range(20):
        item = dataset[index % 5]
        sample, inputs = item['data_samples'], item['inputs']
        assert inputs.shape == (6, 16, 20)
        first = int(inputs[1 + 4 - 3][0, 0]) % 10  # red of date 1 is 40 * class + date
        swapped += first == 2
        for place, name in ((2, 'gt_sem_t1'), (5, 'gt_sem_t2')):
            label, red = getattr(sample, name).data[0].numpy(), inputs[place].numpy()
            assert ((red // 40)[label != 255] == label[label != 255]).all()
        assert (sample.gt_cd.data[0].numpy()[sample.gt_sem_t1.data[0].numpy() != 255] == 1).all()
    assert 3 < swapped < 17
    changes = [(land_covers(number)[2] == 1).sum() for number in range(5)]
    assert class_counts(dataset).pixels.tolist() == [5 * 24 * 32 - sum(changes), sum(changes)]


def test_a_binary_block_with_five_columns_and_photometric_transforms(scope, root):
    (root / 'list.txt').write_text('0 0 0 0 0\n3 3 4 3 3\n')
    pipeline = [
        {'type': 'MultiImgLoadImageFromFile', 'to_float32': True},
        {'type': 'MultiImgLoadAnnotations'},
        {'type': 'MultiImgRandomResize', 'scale': (64, 48), 'ratio_range': (0.5, 1.0), 'keep_ratio': True},
        {'type': 'MultiImgRandomRotate', 'prob': 1.0, 'degree': 30, 'pad_val': 0, 'seg_pad_val': 255},
        {'type': 'MultiImgRandomRotFlip'},
        {'type': 'MultiImgRandomCutOut', 'prob': 1.0, 'n_holes': 1, 'cutout_shape': (4, 4)},
        {'type': 'MultiImgPad', 'size': (70, 70), 'pad_val': {'img': 0, 'seg': 255}},
        {'type': 'MultiImgPhotoMetricDistortion', 'brightness_delta': 10},
        {'type': 'MultiImgNormalize', 'mean': [1, 2, 3], 'std': [1, 2, 3], 'to_rgb': True},
        {'type': 'MultiImgPackSegInputs'},
    ]
    dataset = second(root, ann_file='list.txt', pipeline=pipeline)
    assert dataset.get_data_info(1)['seg_map_path'].endswith('label/4.png') and len(dataset) == 2
    for _ in range(5):
        item = dataset[1]
        assert item['inputs'].shape == (6, 70, 70) and item['inputs'].dtype.is_floating_point
        assert set(item['data_samples'].gt_cd.data.unique().tolist()) <= {0, 1, 255}
        assert 'gt_sem_t1' not in item['data_samples']


def test_levir_masks(scope, root):
    prefix = {key: value for key, value in PREFIX.items() if not key.startswith('seg_map_path_')}
    config = {'type': 'LEVIR_CD_Dataset', 'data_root': str(root), 'data_prefix': prefix,
              'pipeline': [TRAIN[0], {'type': 'MultiImgLoadAnnotations'}, TRAIN[-1]]}  # fmt: skip
    change = land_covers(2)[2] == 1
    assert np.array_equal(DATASETS.build(config)[2]['data_samples'].gt_cd.data[0], change)
    grey = np.repeat((255 * change).astype(np.uint8)[..., None], 3, axis=2)
    write_array(root / 'train/label/2.png', grey)
    assert np.array_equal(DATASETS.build(config)[2]['data_samples'].gt_cd.data[0], change)
    assert class_counts(DATASETS.build(config)).pixels[1] > 0
    write_array(root / 'train/label/2.png', (change * 200).astype(np.uint8))
    with pytest.raises(LabelReadError, match=r'label/2\.png.*200'):
        DATASETS.build(config)[2]
    assert np.array_equal(
        DATASETS.build({**config, 'format_seg_map': 'threshold'})[2]['data_samples'].gt_cd.data[0], change
    )


@pytest.mark.parametrize(
    'name',
    ['_BaseCDDataset', 'BaseSCDDataset', 'LEVIR_CD_Dataset', 'S2Looking_Dataset', 'SVCD_Dataset', 'RSIPAC_CD_Dataset',
     'CLCD_Dataset', 'DSIFN_Dataset', 'SECOND_Dataset', 'Landsat_Dataset', 'BANDON_Dataset', 'WHU_CD_Dataset',
     'JL1_CD_Dataset'],
)  # fmt: skip
def test_every_data_set_of_open_cd_has_its_name(name):
    assert DATASETS.get(name) is not None


@pytest.mark.parametrize(
    'name',
    ['PackSegInputs', 'LoadImageFromFile', 'LoadAnnotations', 'MultiAnnLoadAnnotations', 'ResizeToMultiple', 'Rerange',
     'CLAHE', 'RandomCrop', 'RandomRotate', 'RGB2Gray', 'AdjustGamma', 'PhotoMetricDistortion', 'RandomCutOut',
     'RandomRotFlip', 'ResizeShortestEdge', 'ExchangeTime', 'Resize', 'RandomResize', 'Normalize', 'RandomFlip',
     'Pad'],
)  # fmt: skip
def test_every_transform_but_the_named_ones_has_its_name(name):
    assert TRANSFORMS.get(f'MultiImg{name}') is not None


@pytest.mark.parametrize(
    ('config', 'error', 'words'),
    [
        ({'type': 'MultiImgLoadImageFromFile', 'color_type': 'unchanged'}, ValueError, 'LoadChangePair'),
        ({'type': 'MultiImgPhotoMetricDistortion', 'consistent_contrast_mode': True}, ValueError, 'shared=True'),
        ({'type': 'MultiImgPhotoMetricDistortion', 'hue': 3}, TypeError, 'hue'),
        ({'type': 'MultiImgLoadAnnotations', 'reduce_zero_label': True}, ValueError, 'no counterpart'),
    ],
)
def test_what_has_no_counterpart_is_refused(config, error, words):
    with pytest.raises(error, match=words):
        TRANSFORMS.build(config)


def test_data_set_arguments_without_counterpart(root):
    with pytest.raises(ValueError, match='no counterpart'):
        second(root, reduce_zero_label=True)
    dataset = second(root, pipeline=[TRAIN[0], {**TRAIN[1], 'reduce_semantic_zero_label': False}])
    with pytest.raises(ValueError, match='Set it in the data set'):
        dataset[0]
