"""Data sets of clouds: records, label maps, class counts through the scan, samplers, the ledger."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmengine')

from mmengine.config import Config
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.registry import DATA_SAMPLERS, DATASETS

from imbdense.cli.main import run_verb
from imbdense.core.points import grid_sample
from imbdense.data.points.errors import PointReadError
from imbdense.data.points.layout import load_scene
from imbdense.data.points.layouts import point_layout
from imbdense.data.readers.errors import LabelReadError
from imbdense.mm.data_preprocessors.point_data_pre_processor import PointDataPreProcessor
from imbdense.mm.datasets.label_source import holds_points
from imbdense.mm.datasets.statistics import class_counts, class_table
from imbdense.mm.prior import build_ledger, load_sample
from imbdense.mm.transforms.sphere_crop import SphereCrop
from tests.data.points.point_folders import make_scannet
from tests.helpers.point_scenes import CLASSES, CODES, dataset_config, street, write_scenes
from tests.helpers.shared_data import shared_data_dir


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('clouds')
    write_scenes(folder, train=3, val=1)
    np.savez(folder / 'train' / 'scene_2.npz', **{**np.load(folder / 'train' / 'scene_2.npz'),
             'semantic': np.full(len(np.load(folder / 'train' / 'scene_2.npz')['xyz']), 2)})  # ground alone
    return folder


@pytest.fixture()
def dataset(root: Path) -> Any:
    return DATASETS.build(dataset_config(root))


def test_counts_are_those_of_the_points(dataset: Any) -> None:
    counts = class_counts(dataset)
    expected, ignored = np.zeros(6, np.int64), 0
    for seed in (0, 1):
        labels = street(seed)['semantic'].copy()
        labels[::40] = -1
        expected += np.bincount(labels[labels >= 0], minlength=6)
        ignored += int((labels < 0).sum())
    expected[0] += len(street(2)['semantic'])
    assert (counts.pixels == expected).all() and counts.ignored_pixels == ignored
    assert counts.images.tolist() == [3, 2, 2, 2, 2, 2] and counts.regions is None and counts.num_images == 3
    assert dataset.get_cat_ids(2) == [0] and dataset.get_cat_ids(0) == [0, 1, 2, 3, 4, 5]
    assert (class_table(RepeatDataset(dataset=dataset, times=2)).totals == 2 * expected).all()
    assert (class_counts(ConcatDataset([dataset, dataset])).pixels == 2 * expected).all()
    assert holds_points(ConcatDataset([dataset, dataset]))


def test_scannet_has_two_benchmarks(tmp_path: Path) -> None:
    make_scannet(tmp_path)
    config = {'type': 'imbdense.ScanNetPointDataset', 'data_root': str(tmp_path), 'split': 'val'}
    for mapping, number in ((None, 20), ('benchmark20', 20), ('benchmark200', 200)):
        dataset = DATASETS.build({**config, 'mapping': mapping})
        record = dataset.get_data_info(0)
        labels = record['point_source'].read(record['points_path']).semantic
        known = point_layout('scannet200' if number == 200 else 'scannet')
        expected = load_scene(known, known.scenes(tmp_path, 'val')[0]).semantic
        assert len(dataset.metainfo['classes']) == number and labels.tolist() == expected.tolist()
    with pytest.raises(ValueError, match='benchmark200'):
        DATASETS.build({**config, 'mapping': 'benchmark40'})


def test_counts_are_kept_and_a_changed_file_is_counted_again(tmp_path: Path) -> None:
    write_scenes(tmp_path, train=1, val=1)
    before = class_counts(DATASETS.build(dataset_config(tmp_path))).pixels
    assert json.loads((tmp_path / 'class_counts_train.json').read_text())['pixels'] == before.tolist()
    scene = street(9)
    np.savez(tmp_path / 'train' / 'scene_0.npz', xyz=scene['xyz'], semantic=np.full(len(scene['xyz']), 6))
    assert class_counts(DATASETS.build(dataset_config(tmp_path))).pixels[1] == len(scene['xyz'])


@pytest.mark.parametrize('sampler', [
    {'type': 'imbdense.BalancedClassSampler'}, {'type': 'imbdense.RepeatFactorSampler', 'threshold': 1.0},
    {'type': 'imbdense.BalancedImageSampler', 'mode': 'oversample'},
], ids=lambda item: item['type'])  # fmt: skip
def test_samplers_of_images_draw_scenes(dataset: Any, sampler: dict[str, Any]) -> None:
    """The scene of ground alone comes less often than those with masts."""
    drawn = list(iter(DATA_SAMPLERS.build(sampler, default_args={'dataset': dataset, 'seed': 0})))
    assert set(drawn) <= {0, 1, 2} and drawn.count(2) <= min(drawn.count(0), drawn.count(1))


def test_ledger_follows_grid_crops_and_voxels(root: Path) -> None:
    """Against what real samples hold: crops round rare points, voxels of .8 m made by the preprocessor."""
    crop = SphereCrop(4.0, 'rare', tau=1.0, rate=0.7)
    dataset = DATASETS.build(dataset_config(root, pipeline=[
        dict(type='imbdense.LoadPoints'), dict(type='imbdense.GridSample', size=0.4), crop,
        dict(type='imbdense.PackPointInputs')]))  # fmt: skip
    counts, table = class_counts(dataset), class_table(dataset)
    crop.class_counts = table.totals.astype(float)
    ledger, unknown = build_ledger(counts, table, dataset, SimpleNamespace(), steps=[PointDataPreProcessor(0.8)])
    assert [entry.source for entry in ledger.entries[1:]] == ['GridSample', 'SphereCrop', 'PointDataPreProcessor']
    assert unknown == ['SimpleNamespace']
    scenes = [load_sample(dataset, index, before=crop) for index in range(3)]
    points, voxels = np.zeros(6), np.zeros(6)
    np.random.seed(0)
    for number in range(1200):
        cropped = crop(scenes[number % 3])
        labels = torch.tensor(cropped['gt_semantic'])
        points += np.bincount(labels[labels >= 0], minlength=6)
        if number < 450:
            found = grid_sample(torch.tensor(cropped['points']), 0.8, labels=labels).labels
            voxels += np.bincount(found[found >= 0], minlength=6)
    assert np.asarray(ledger.entries[2].prior) == pytest.approx(points / points.sum(), rel=0.25)
    assert ledger.seen_prior == pytest.approx(voxels / voxels.sum(), rel=0.4)
    assert ledger.seen_prior[4] > 3 * np.asarray(ledger.entries[0].prior)[4]


def test_stats_verb_counts_points(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False))
    config = Config(dict(default_scope='mmengine', train_dataloader=dict(dataset=dataset_config(root), **loader),
                         val_dataloader=dict(dataset=dataset_config(root, 'val'), **loader)))  # fmt: skip
    config.dump(str(tmp_path / 'config.py'))
    assert run_verb('stats', [str(tmp_path / 'config.py'), '--out', str(tmp_path / 'out')]) == 0
    printed = capsys.readouterr().out
    assert 'mast' in printed and 'randla' in printed
    record = json.loads((tmp_path / 'out' / 'stats.json').read_text())['splits']
    assert sum(record['train']['counts']['pixels']) > 10_000 and record['val']['counts']['num_images'] == 1


def test_split_file_and_pickle(root: Path, tmp_path: Path) -> None:
    (root / 'some.txt').write_text('scene_1\nscene_0.npz\n')
    dataset = DATASETS.build(dataset_config(root, ann_file='some.txt'))
    assert [dataset.get_data_info(i)['scene'] for i in range(2)] == ['scene_1', 'scene_0']
    assert pickle.loads(pickle.dumps(dataset)).get_data_info(0)['scene'] == 'scene_1'
    (root / 'wrong.txt').write_text('scene_77\n')
    with pytest.raises(PointReadError, match='scene_77'):
        DATASETS.build(dataset_config(root, ann_file='wrong.txt'))


def test_codes_without_class_are_named_or_ignored(tmp_path: Path) -> None:
    write_scenes(tmp_path, train=1, val=1)
    fewer = {code: name for code, name in CODES.items() if code != 21}
    config = {**dataset_config(tmp_path, pipeline=[dict(type='imbdense.LoadPoints')]), 'label_map': fewer}
    with pytest.raises(LabelReadError, match=r'scene_0\.npz.*21 \(\d+ points\)'):
        class_counts(DATASETS.build(config))
    ignoring = DATASETS.build({**config, 'unknown': 'ignore'})
    assert class_counts(ignoring).pixels[4] == 0
    assert 4 not in ignoring[0]['gt_semantic']
    with pytest.raises(ValueError, match='boat'):
        DATASETS.build({**config, 'label_map': {2: 'boat'}})


def test_scenes_that_cannot_teach_are_errors_that_name_them(tmp_path: Path) -> None:
    write_scenes(tmp_path, train=1, val=1)
    scene = street(0)
    np.savez(tmp_path / 'train' / 'scene_0.npz', xyz=scene['xyz'], semantic=np.full(len(scene['xyz']), 1))
    pipeline = [dict(type='imbdense.LoadPoints')]
    with pytest.raises(LabelReadError, match=r'all .* ignored'):
        class_counts(DATASETS.build(dataset_config(tmp_path, pipeline=pipeline)))
    np.savez(tmp_path / 'train' / 'scene_0.npz', xyz=scene['xyz'])
    with pytest.raises(PointReadError, match='no labels'):
        DATASETS.build(dataset_config(tmp_path, pipeline=pipeline))[0]
    assert 'gt_semantic' not in DATASETS.build(dataset_config(tmp_path, pipeline=pipeline, need_labels=False))[0]
    with pytest.raises(PointReadError, match='no folder'):
        DATASETS.build(dataset_config(tmp_path / 'nowhere'))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(PointReadError, match='no cloud'):
        DATASETS.build(dataset_config(tmp_path, 'empty'))


def test_real_tiles_of_ign_lidar_hd() -> None:
    pytest.importorskip('laspy')
    root = shared_data_dir('ign_lidar_hd')
    pipeline = [dict(type='imbdense.LoadPoints', attributes=('intensity',)), dict(type='imbdense.PackPointInputs')]
    dataset = DATASETS.build(dict(type='imbdense.IGNLidarHDDataset', data_root=str(root), mapping='all_codes',
                                  pipeline=pipeline))  # fmt: skip
    counts = dict(zip(dataset.metainfo['classes'], class_counts(dataset).pixels.tolist()))
    assert counts['ground'] == 228_370 and counts['bridge deck'] == 267 and counts['virtual point'] == 12
    packed = dataset[1]
    assert packed['inputs']['points'].shape == (73_355, 3)
    assert CLASSES and float(packed['inputs']['points'].max()) < 100  # relative to the tile
