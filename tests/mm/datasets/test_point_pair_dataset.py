"""Pairs of clouds: files, labels, cells, crops, links, faults."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imbdense.data.points import PointCloud, PointReadError, write_points
from imbdense.data.prepare import PrepareError, prepare, recipe
from imbdense.mm.datasets.point_pair_dataset import PointPairDataset, Urb3DCDDataset
from imbdense.mm.datasets.statistics import class_counts
from imbdense.mm.transforms.pair_cylinder import PairCylinderCrop, PairCylinderGrid
from tests.data.points.point_folders import make_urb3dcd
from tests.helpers.point_pairs import CLASSES, FAR, tiny_town, write_town

CROP = {'type': 'imbdense.PairCylinderCrop', 'radius': 10.0, 'center': 'rare', 'tau': 0.5}
PACK = {'type': 'imbdense.PackPointPair', 'depth': 2, 'features': ('ones', 'count', 'height', 'stability')}


@pytest.fixture(scope='module')
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes to train, one to test."""
    root = tmp_path_factory.mktemp('town')
    write_town(root / 'train', (0, 1), side=40.0)
    write_town(root / 'test', (2,), side=40.0)
    return root


def loaded(town: Path, **options: Any) -> dict[str, Any]:
    """The first scene as the pipeline sees it."""
    return PointPairDataset(str(town), 'train', pipeline=[lambda results: results], **options)[0]


def test_both_epochs_are_read_into_cells(town: Path) -> None:
    results = loaded(town)
    one, _, two, label2, _ = tiny_town(0, side=40.0)
    assert results['scene'] == 'scene_0' and results['points_path_t1'].endswith('scene_0/epoch1.npz')
    for key, cloud in (('points', two), ('points_t1', one)):
        assert len(results[key]) == len(np.unique(np.floor(cloud + FAR - results['origin']), axis=0))
        assert results[key].dtype == np.float32 and np.abs(results[key]).max() < 100
    assert results['attributes']['count'].sum() == len(two)
    assert set(np.unique(results['gt_semantic'])) <= set(range(7)) and len(results['gt_semantic_t1'])
    assert 'full_cell' not in results
    full = loaded(town, test_mode=True)
    assert (full['full_semantic'] == label2).all() and len(full['full_cell']) == len(two)
    cells = full['points'][full['full_cell']]
    assert np.abs(cells - full['full_points']).max() < 1.0  # a raw point lies in the cell that stands for it


def test_labels_are_counted_as_those_of_epoch_2(town: Path) -> None:
    dataset = PointPairDataset(str(town), 'train')
    labels = np.concatenate([tiny_town(seed, side=40.0)[3] for seed in (0, 1)])
    np.testing.assert_array_equal(class_counts(dataset).of('pixels'), np.bincount(labels, minlength=7))
    assert dataset.metainfo['classes'][:3] == ('unchanged', 'new building', 'demolition')
    assert dataset.get_cat_ids(0)[0] == 0
    assert len(pickle.loads(pickle.dumps(dataset))) == 2


def test_crop_and_pack(town: Path) -> None:
    dataset = PointPairDataset(str(town), 'train', pipeline=[CROP, {'type': 'imbdense.PairJitterRotate'}, PACK])
    np.random.seed(0)
    item = dataset[0]
    (crop,) = item['inputs'].crops
    assert len(crop.levels1) == len(crop.levels2) == len(crop.links) == 3
    assert crop.feats2.shape == (len(crop.levels2[0]), 4) and crop.labels.shape == (len(crop.levels2[0]),)
    assert len(crop.rows) == len(crop.points) and int(crop.rows.max()) == len(crop.levels2[0]) - 1
    for level in (0, 1, 2):
        index = crop.links[level].index
        assert index.shape == (len(crop.levels2[level]), 1) and int(index.max()) < len(crop.levels1[level])
        gap = (crop.levels2[level].points - crop.levels1[level].points[index[:, 0]]).norm(dim=1)
        assert float(gap[index[:, 0] >= 0].max()) <= 4 * 2**level
    np.random.seed(0)
    again = dataset[0]['inputs'].crops[0]
    assert torch.equal(again.feats2, crop.feats2) and torch.equal(again.labels, crop.labels)


def test_rare_centres_find_rare_classes_and_say_so(town: Path) -> None:
    results = loaded(town)
    rare, share = int(np.bincount(results['gt_semantic'])[1:].argmax()) + 1, {}
    for center in ('uniform', 'rare'):
        crop = PairCylinderCrop(radius=5.0, center=center, tau=1.0)
        rng = np.random.default_rng(0)
        hits = [(results['gt_semantic'][crop.draw_in(results, rng, None).index2] == rare).any() for _ in range(60)]
        share[center] = np.mean(hits)
    assert share['rare'] > share['uniform'] + 0.1
    never = PairCylinderCrop(radius=5.0, class_counts=[1.0, 1, 1, 1, 1, 1, 1])
    drawn = never.draw_in(results, np.random.default_rng(0), never.known_counts())
    assert results['gt_semantic'][drawn.index2].size >= 32


def test_grid_covers_every_point(town: Path) -> None:
    results = PairCylinderGrid(radius=8.0, step=11.0).transform(loaded(town))
    covered = np.zeros(len(results['points']), dtype=int)
    for _, second in results['crops']:
        covered[second] += 1
    assert covered.min() >= 1
    with pytest.raises(ValueError, match='step'):
        PairCylinderGrid(radius=8.0, step=12.0)


def test_crop_without_epoch_1_is_packed(tmp_path: Path) -> None:
    one, two = np.array([[0.5, 0.5, 0.5]]), np.array([[0.5, 0.5, 0.5], [30.5, 0.5, 0.5]])
    (tmp_path / 'a').mkdir()
    write_points(tmp_path / 'a/epoch1.npz', PointCloud(one))
    write_points(tmp_path / 'a/epoch2.npz', PointCloud(two, {}, np.array([0, 1])))
    far = {'type': 'imbdense.PairCylinderGrid', 'radius': 5.0}
    item = PointPairDataset(str(tmp_path), pipeline=[far, PACK], test_mode=True)[0]
    empty = [crop for crop in item['inputs'].crops if len(crop.levels1[0]) == 0]
    assert empty and all((link.index == -1).all() for crop in empty for link in crop.links)


def test_urb3dcd_layout(tmp_path: Path) -> None:
    for name in ('TrainLarge-1c/LyonS1', 'TrainLarge-1c/LyonS2', 'Test/LyonS'):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for file in ('pointCloud0.ply', 'pointCloud1.ply'):
            rows = '\n'.join(f'{x} 0 0 {x % 7}.0' for x in range(20))
            (folder / file).write_text(
                'ply\nformat ascii 1.0\nelement params 20\nproperty float x\nproperty float y\nproperty float z\n'
                f'property float label_ch\nend_header\n{rows}\n')
    dataset = Urb3DCDDataset(str(tmp_path), 'Train', pipeline=[lambda results: results])
    assert [record['scene'] for record in dataset] == ['LyonS1', 'LyonS2']
    assert sorted(set(dataset[0]['gt_semantic'])) == list(range(7))
    with pytest.raises(ValueError, match='version'):
        Urb3DCDDataset(str(tmp_path), version='v3')


def test_urb3dcd_prepared_gives_the_same(tmp_path: Path) -> None:
    make_urb3dcd(tmp_path / 'source')
    prepare(recipe('urb3dcd'), tmp_path / 'source', tmp_path / 'out')
    for split, pairs in (('Train', 2), ('Val', 1), ('Test', 1)):
        both = [Urb3DCDDataset(str(tmp_path / place), split, pipeline=[lambda results: results])
                for place in ('source', 'out')]
        assert [len(dataset) for dataset in both] == [pairs, pairs]
        for one, other in zip(*both):
            assert other['points_path'].endswith('.npz') and one['scene'] == other['scene']
            for key in ('points', 'points_t1', 'gt_semantic'):
                np.testing.assert_array_equal(one[key], other[key])
    (tmp_path / 'source/Val/Lyon0/pointCloud0.ply').unlink()
    with pytest.raises(PrepareError, match='has no epoch 1'):
        prepare(recipe('urb3dcd'), tmp_path / 'source', tmp_path / 'again')


def test_classes_of_a_generated_folder(tmp_path: Path) -> None:
    write_town(tmp_path / 'train', (0,), side=20.0)
    record = {'classes': ['same', 'changed'], 'label_map': {str(code): int(code > 0) for code in range(7)}}
    (tmp_path / 'dataset.json').write_text(json.dumps(record))
    dataset = PointPairDataset(str(tmp_path), 'train', pipeline=[lambda results: results])
    assert dataset.metainfo['classes'] == ('same', 'changed') and set(dataset[0]['gt_semantic']) == {0, 1}
    assert len(CLASSES) == 7


def test_faults_are_named(town: Path, tmp_path: Path) -> None:
    with pytest.raises(PointReadError, match='holds no pair'):
        PointPairDataset(str(tmp_path))
    write_town(tmp_path / 'alone', (0,), side=20.0)
    (tmp_path / 'alone/scene_0/epoch1.npz').unlink()
    with pytest.raises(PointReadError, match='has no epoch 1'):
        PointPairDataset(str(tmp_path / 'alone'))
    write_town(tmp_path / 'apart', (0,), side=20.0)
    write_points(tmp_path / 'apart/scene_0/epoch1.npz', PointCloud(np.zeros((5, 3))))
    with pytest.raises(PointReadError, match=r'epoch1.npz.*do not overlap.*same coordinate system'):
        PointPairDataset(str(tmp_path / 'apart'), pipeline=[lambda results: results]).prepare_data(0)
    with pytest.raises(KeyError, match='PairCylinderCrop: no points_t1'):
        PairCylinderCrop(5.0).transform({'points': np.zeros((1, 3)), 'gt_semantic': np.zeros(1)})
