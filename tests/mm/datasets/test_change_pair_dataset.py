"""Pairs of images: layouts, lists, modes, label formats, statistics."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip('mmseg')

from imbdense.data.readers import LabelReadError
from imbdense.mm.datasets.statistics import class_counts
from imbdense.registry import DATA_SAMPLERS, DATASETS
from tests.data.change.pair_files import LAND_COVER, land_covers, picture, write_array, write_pairs

LOAD = [{'type': 'imbdense.LoadChangePair'}, {'type': 'imbdense.PackChangeInputs'}]


def build(root, **options):
    """Through the registry, as a config does."""
    return DATASETS.build({'type': 'imbdense.ChangePairDataset', 'data_root': str(root), **options})


@pytest.fixture
def root(tmp_path):
    return write_pairs(tmp_path / 'pairs')


def test_standard_layout_needs_nothing_but_its_place(root):
    dataset = build(root, ann_file='splits/train.txt', pipeline=LOAD)
    assert len(dataset) == 4 and dataset.mode == 'semantic'
    assert dataset.metainfo['classes'] == ['unchanged', 'changed'] and len(dataset.metainfo['land_cover']) == 4
    item = dataset[2]
    t1, t2, change = land_covers(2)
    sample = item['data_samples']
    assert item['inputs'].shape == (6, 24, 32) and sample.num_dates == 2
    assert np.array_equal(item['inputs'][[2, 5]], np.stack([picture(t1, 1)[..., 0], picture(t2, 2)[..., 0]]))
    for name, expected in (('gt_cd', change), ('gt_sem_t1', t1), ('gt_sem_t2', t2)):
        assert np.array_equal(getattr(sample, name).data[0].numpy(), expected)


def test_counts_and_samplers_see_the_change_map(root):
    dataset = build(root, ann_file='splits/train.txt')
    counts = class_counts(dataset)
    changes = np.stack([land_covers(number)[2] for number in range(4)])
    assert counts.pixels.tolist() == [(changes == 0).sum(), (changes == 1).sum()]
    assert counts.ignored_pixels == (changes == 255).sum()
    assert dataset.get_cat_ids(0) == [0, 1]
    for kind in ('BalancedImageSampler', 'RepeatFactorSampler', 'BalancedClassSampler'):
        sampler = DATA_SAMPLERS.build({'type': f'imbdense.{kind}', 'dataset': dataset, 'seed': 0})
        assert set(sampler) <= set(range(4))


def test_folders_and_columns_of_open_cd(root):
    prefix = {'img_path_from': 't1', 'img_path_to': 't2', 'seg_map_path': 'label_change',
              'seg_map_path_from': 'label_t1', 'seg_map_path_to': 'label_t2'}  # fmt: skip
    (root / 'list.txt').write_text('000 001 002 003 004\n001 001 001 001 001\n')
    dataset = build(root, data_prefix=prefix, ann_file='list.txt')
    record = dataset.get_data_info(0)
    ends = [record[key][-7:-4] for key in
            ('img_path_from', 'img_path_to', 'seg_map_path', 'seg_map_path_from', 'seg_map_path_to')]  # fmt: skip
    assert ends == ['000', '001', '002', '003', '004']
    flat = build(root, data_prefix=prefix, ann_file='list.txt', mode='binary').get_data_info(0)
    assert flat['seg_map_path'].endswith('002.png') and 'land_cover_paths' not in flat
    (root / 'list.txt').write_text('000.png 001.png 002.png\n')
    record = build(root, ann_file='list.txt', mode='binary').get_data_info(0)
    assert [record[key][-7:-4] for key in ('img_path', 'img_path_to', 'seg_map_path')] == ['000', '001', '002']
    (root / 'list.txt').write_text('000 001\n')
    with pytest.raises(LabelReadError, match='2 columns'):
        build(root, ann_file='list.txt', mode='binary')


def test_names_with_spaces_are_one_column(root):
    for folder in ('t1', 't2', 'label_change'):
        (root / folder / '000.png').rename(root / folder / 'old town 0.png')
    (root / 'list.txt').write_text('old town 0\n001\n')
    assert build(root, ann_file='list.txt', mode='binary').get_data_info(0)['img_path'].endswith('t1/old town 0.png')


@pytest.mark.parametrize('folder', ['t1', 't2', 'label_change', 'label_t2'])
def test_a_missing_file_is_named_when_built(root, folder):
    (root / folder / '002.png').unlink()
    with pytest.raises(LabelReadError, match=f'{folder}/002'):
        build(root)


def test_three_dates(root):
    for number in range(6):
        write_array(root / f't3/{number:03d}.png', picture(land_covers(number)[1], 3))
        write_array(root / f'label_t3/{number:03d}.png', land_covers(number)[1])
    prefix = {'img_path': ['t1', 't2', 't3'], 'seg_map_path': 'label_change',
              'seg_map_path_dates': ['label_t1', 'label_t2', 'label_t3']}  # fmt: skip
    item = build(root, data_prefix=prefix, pipeline=LOAD)[1]
    assert item['inputs'].shape == (9, 24, 32) and item['data_samples'].num_dates == 3
    assert np.array_equal(item['data_samples'].gt_sem_t3.data[0], land_covers(1)[1])
    assert item['inputs'][8].float().mean() == item['inputs'][5].float().mean() + 1, 'the third date is the third'


def test_kinds_of_change(root):
    """Direct multi-class change detection: the change map holds the kinds."""
    for number in range(6):
        change = land_covers(number)[2]
        change[(change == 1) & (np.arange(32) > 15)] = 2
        write_array(root / f'label_change/{number:03d}.png', change)
    dataset = build(root, mode='direct', metainfo={'classes': ('unchanged', 'left', 'right')}, pipeline=LOAD)
    assert class_counts(dataset).pixels.size == 3 and (class_counts(dataset).pixels > 0).all()
    sample = dataset[0]['data_samples']
    assert set(sample.gt_cd.data.unique().tolist()) == {0, 1, 2, 255} and 'gt_sem_t1' not in sample


@pytest.mark.parametrize(
    ('values', 'how', 'expected'),
    [
        ([0, 255], 'to_binary', [0, 1]),
        ([0, 1], 'to_binary', [0, 1]),
        ([0, 100, 128, 255], 'threshold', [0, 0, 1, 1]),
        ([0, 1, 255], None, [0, 1, 255]),
    ],
)
def test_masks_of_0_and_255(root, values, how, expected):
    table = np.array(values, np.uint8)
    masks = {}
    for number in range(6):
        masks[number] = np.random.default_rng(number).integers(0, len(values), (24, 32))
        write_array(root / f'label_change/{number:03d}.png', table[masks[number]])
    dataset = build(root, mode='binary', format_seg_map=how, pipeline=LOAD)
    assert np.array_equal(dataset[3]['data_samples'].gt_cd.data[0], np.array(expected)[masks[3]])
    found = class_counts(dataset).pixels
    wanted = [sum((np.array(expected)[mask] == klass).sum() for mask in masks.values()) for klass in (0, 1)]
    assert found.tolist() == wanted, 'statistics count what training sees'


def test_a_value_that_is_no_class_is_named(root):
    _, _, change = land_covers(0)
    change[3, 4] = 128
    write_array(root / 'label_change/000.png', change)
    with pytest.raises(LabelReadError, match=r'label_change/000.png: holds the values \[128\]'):
        build(root, mode='binary', format_seg_map='to_binary', pipeline=LOAD)[0]
    with pytest.raises(LabelReadError, match='128'):
        class_counts(build(root, mode='binary', format_seg_map='to_binary'))


def test_zero_as_unlabelled_and_colour_pictures(root):
    t1, _, _ = land_covers(0)
    colours = np.array([(i * 50, 3, 9) for i in range(4)] + [(255, 255, 255)], np.uint8)
    for number in range(6):
        for date, label in enumerate(land_covers(number)[:2], 1):
            write_array(root / f'label_t{date}/{number:03d}.png', np.where(label == 255, 0, label + 1).astype(np.uint8))
    shifted = build(root, reduce_semantic_zero_label=True, pipeline=LOAD)[0]['data_samples']
    assert np.array_equal(shifted.gt_sem_t1.data[0], t1)
    for number in range(6):
        for date, label in enumerate(land_covers(number)[:2], 1):
            write_array(root / f'label_t{date}/{number:03d}.png', colours[np.minimum(label, 4)])
    with pytest.raises(LabelReadError, match='three channels'):
        build(root, pipeline=LOAD)[0]
    options = {'land_cover_colors': colours[:4].tolist(), 'unlabeled_colors': [(255, 255, 255)]}
    assert np.array_equal(build(root, pipeline=LOAD, **options)[0]['data_samples'].gt_sem_t1.data[0], t1)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'mode': 'direct', 'metainfo': {'classes': ()}}, 'kinds of change'),
        ({'mode': 'twice'}, 'mode'),
        ({'data_prefix': {'img_path_from': 't1'}}, 'img_path_to'),
        ({'data_prefix': {'img_path': 't1', 'seg_map_path': 'label_change'}}, 'list of one folder'),
        ({'data_prefix': {'img_path_from': 't1', 'img_path_to': 't2', 'maps': 'x'}}, 'data_prefix'),
        ({'format_seg_map': 'binary'}, 'format_seg_map'),
        ({'land_cover_colors': [(1, 2, 3)]}, '1 land_cover_colors for 4'),
    ],
)
def test_wrong_arguments(root, options, words):
    with pytest.raises(ValueError, match=words):
        build(root, **options)


def test_semantic_mode_without_land_cover(root):
    (root / 'dataset.json').unlink()
    assert build(root).mode == 'binary'
    with pytest.raises(ValueError, match='land_cover'):
        build(root, mode='semantic')
    assert build(root, metainfo={'land_cover': LAND_COVER}).mode == 'semantic'


def test_images_without_labels(root):
    """For prediction: no change map, no land cover."""
    prefix = {'img_path_from': 't1', 'img_path_to': 't2'}
    item = build(root, mode='binary', data_prefix=prefix, pipeline=LOAD, test_mode=True)[0]
    assert item['inputs'].shape == (6, 24, 32) and 'gt_sem_seg' not in item['data_samples']


def test_kinds_of_dataset_json_and_how_else_they_can_be_read(root):
    record = json.loads((root / 'dataset.json').read_text())
    record.update(classes=['unchanged', 'new', 'gone'], palette=[[0, 0, 0], [1, 1, 1], [2, 2, 2]])
    (root / 'dataset.json').write_text(json.dumps(record))
    for number in range(6):
        change = land_covers(number)[2]
        write_array(root / f'label_change/{number:03d}.png', np.where(change == 1, 1 + number % 2, change))
    assert build(root).mode == 'direct'
    dataset = build(root, mode='semantic', pipeline=LOAD)
    assert list(dataset.metainfo['classes']) == ['unchanged', 'changed']
    for number in (0, 1):
        assert np.array_equal(dataset[number]['data_samples'].gt_cd.data[0], land_covers(number)[2])
    assert class_counts(dataset).pixels[1] == sum((land_covers(number)[2] == 1).sum() for number in range(6))
    with pytest.raises(ValueError, match=r"3 classes .*mode='direct'"):
        build(root, mode='binary', metainfo={'classes': ('a', 'b', 'c')})


def test_samplers_can_balance_transitions(root):
    """One pair holds the only building -> road change: it is drawn most often."""
    quiet = np.ones((24, 32), np.uint8)
    for number in range(6):
        before, after = quiet.copy(), quiet.copy()
        before[:6] = 3
        if number == 4:
            before[20:, 20:], after[20:, 20:] = 0, 2
        for name, label in (('t1', before), ('t2', after), ('change', (before != after).astype(np.uint8))):
            write_array(root / f'label_{name}/{number:03d}.png', label)
    dataset = build(root, sample_by='transition')
    table, names = dataset.sampling_table()
    assert names == ['unchanged', 'building -> road', 'water -> soil'] and table.image_counts.tolist() == [6, 1, 6]
    sampler = DATA_SAMPLERS.build({'type': 'imbdense.BalancedClassSampler', 'dataset': dataset, 'seed': 0})
    rates = sampler.draw_rates()
    assert rates.argmax() == 4 and rates[4] > 1.9
    by_change = DATA_SAMPLERS.build({'type': 'imbdense.BalancedClassSampler', 'dataset': build(root), 'seed': 0})
    assert np.allclose(by_change.draw_rates(), 1)
    with pytest.raises(ValueError, match='sample_by'):
        build(root, mode='binary', sample_by='transition')
    wrapped = DATASETS.build({'type': 'ConcatDataset', 'datasets': [dataset]})
    with pytest.raises(ValueError, match='through a wrapper'):
        DATA_SAMPLERS.build({'type': 'imbdense.BalancedClassSampler', 'dataset': wrapped, 'seed': 0})
