"""Transforms of point clouds: every per-point entry goes along, and nothing of a cache is written into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmcv')

from mmengine.dataset import Compose
from mmengine.registry import DATASETS

from imbdense.data.points.errors import PointReadError
from imbdense.mm.transforms.block_crop import BlockCrop
from imbdense.mm.transforms.load_points import LoadPoints
from imbdense.mm.transforms.morton_sort import MortonSort
from imbdense.mm.transforms.pack_point_inputs import PackPointInputs
from imbdense.mm.transforms.point_color import PointDropColor
from imbdense.mm.transforms.point_fields import join_points, part_table, table_parts, take_points
from imbdense.mm.transforms.point_geometry import PointFlip, PointJitter, PointRotate, PointScale, PointShift
from imbdense.mm.transforms.point_grid_sample import GridSample
from imbdense.mm.transforms.point_height import PointHeight
from imbdense.mm.transforms.sphere_crop import SphereCrop
from tests.helpers.point_scenes import ORIGIN, dataset_config, street, write_scenes


def sample(seed: int = 0) -> dict[str, Any]:
    """A street as LoadPoints gives it, with arrays that cannot be written into."""
    scene = street(seed)
    found = {
        'points': (scene['xyz'] - ORIGIN).astype(np.float32), 'origin': ORIGIN, 'points_path': 'street.npz',
        'gt_semantic': scene['semantic'].copy(), 'gt_instance': scene['instance'].copy(),
        'attributes': {'rgb': (scene['rgb'] / 255).astype(np.float32)},
    }  # fmt: skip
    found['attributes']['number'] = np.arange(len(found['points']), dtype=np.float32)[:, None]
    for values in (found['points'], found['gt_semantic'], found['gt_instance'], *found['attributes'].values()):
        values.setflags(write=False)
    return found


def lengths(results: dict[str, Any]) -> set[int]:
    entries = [results['points'], results['gt_semantic'], results['gt_instance'], *results['attributes'].values()]
    return {len(values) for values in entries}


def test_take_and_join_points() -> None:
    whole = sample()
    index = np.array([5, 2, 2])
    part = take_points(whole, index)
    assert part['attributes']['number'][:, 0].tolist() == [5, 2, 2]
    assert (part['gt_instance'] == whole['gt_instance'][index]).all() and lengths(part) == {3}
    joined = join_points(part, [take_points(whole, np.array([9]))])
    assert joined['attributes']['number'][:, 0].tolist() == [5, 2, 2, 9] and lengths(joined) == {4}
    back = table_parts(part_table(part), part)
    assert all((back['attributes'][k] == part['attributes'][k]).all() for k in part['attributes'])
    with pytest.raises(ValueError, match='columns'):
        table_parts(part_table(part)[:, :-1], part)


@pytest.mark.parametrize(
    'transform',
    [PointRotate(), PointScale(), PointScale(anisotropic=True), PointShift(), PointFlip(), PointJitter(),
     PointDropColor(prob=1.0), PointHeight(window=20.0), GridSample(0.8), GridSample(0.8, 'first'),
     GridSample(0.8, 'random'), SphereCrop(8.0), SphereCrop(8.0, 'rare'), MortonSort(), BlockCrop(10.0),
     BlockCrop(10.0, 5.0)],
    ids=repr,
)  # fmt: skip
def test_entries_stay_together_and_the_input_is_not_changed(transform: Any) -> None:
    whole = sample()
    before = {key: whole[key].copy() for key in ('points', 'gt_semantic')}
    np.random.seed(0)
    found = transform(whole)
    assert len(lengths(found)) == 1 and found['points'].dtype == np.float32
    assert all((whole[key] == value).all() for key, value in before.items())
    np.random.seed(0)
    again = transform(sample())
    assert (again['points'] == found['points']).all()  # follows the host's seed


def test_rotation_keeps_distances_and_heights() -> None:
    whole = sample()
    turned = PointRotate((90, 90))(whole)
    one, two = whole['points'][:200].astype(float), turned['points'][:200].astype(float)
    assert np.linalg.norm(one[:100] - one[100:], axis=1) == pytest.approx(
        np.linalg.norm(two[:100] - two[100:], axis=1), abs=1e-4)
    assert (one[:, 2] == two[:, 2]).all()
    middle = (whole['points'][:, :2].min(0) + whole['points'][:, :2].max(0)) / 2
    moved, given = two[0, :2] - middle, one[0, :2] - middle
    assert moved == pytest.approx([-given[1], given[0]], abs=1e-4)  # counter-clockwise


def test_height_follows_scale_and_jitter() -> None:
    whole = PointHeight(window=20.0)(sample())
    scaled = PointScale((2, 2))(whole)
    assert scaled['attributes']['height'] == pytest.approx(2 * whole['attributes']['height'])
    jittered = PointJitter(0.1, 0.2)(whole)
    moved = (jittered['points'] - whole['points'])[:, 2]
    assert (jittered['attributes']['height'] - whole['attributes']['height'])[:, 0] == pytest.approx(moved, abs=1e-5)
    assert np.abs(moved).max() <= 0.2001


def test_grid_sample_hand_example() -> None:
    points = np.array([[0.1, 0, 0], [0.3, 0, 0], [0.2, 0, 0], [1.5, 0, 0]], np.float32)
    given = {'points': points, 'gt_semantic': np.array([2, 1, 1, -1]), 'attributes': {'a': points[:, :1]}}
    found = GridSample(1.0)(given)
    assert found['points'][:, 0].tolist() == pytest.approx([0.2, 1.5])
    assert found['gt_semantic'].tolist() == [1, -1]
    assert found['attributes']['a'][:, 0].tolist() == pytest.approx([0.2, 1.5])
    assert GridSample(1.0, 'first')(given)['points'][:, 0].tolist() == pytest.approx([0.1, 1.5])


def test_blocks_share_the_points_out() -> None:
    """Half-open: every point in one block; closed: points on a border in both (STPLS3D's preparation)."""
    x, y = np.meshgrid(np.arange(0, 4.5, 0.5), np.arange(0, 4.5, 0.5))
    points = np.column_stack([x.ravel(), y.ravel(), 0 * x.ravel()]).astype(np.float32)
    half, closed = BlockCrop(2.0), BlockCrop(2.0, half_open=False)
    cells = [(i, j) for i in range(3) for j in range(3)]
    assert sum(half.inside(points, cell).astype(int) for cell in cells).tolist() == [1] * len(points)
    doubled = sum(closed.inside(points, cell).astype(int) for cell in cells)
    assert doubled.max() == 4 and set(doubled[(points[:, 0] % 2 != 0) & (points[:, 1] % 2 != 0)]) == {1}
    assert BlockCrop(2.0, min_points=100)({'points': points}) is None
    with pytest.raises(ValueError, match='stride'):
        BlockCrop(2.0, 3.0)


def test_rare_centres_are_drawn_by_the_power_of_the_counts() -> None:
    whole = sample()
    counts = np.bincount(whole['gt_semantic'], minlength=6)
    crop = SphereCrop(0.01, 'rare', tau=0.5, class_counts=counts.tolist())
    np.random.seed(0)
    centres = [int(crop(whole)['gt_semantic'][0]) for _ in range(1500)]
    expected = counts**-0.5 / (counts**-0.5).sum()
    found = np.bincount(centres, minlength=6) / 1500
    assert found == pytest.approx(expected, abs=0.045)
    uniform = [int(SphereCrop(0.01)(whole)['gt_semantic'][0]) for _ in range(600)]
    assert np.bincount(uniform, minlength=6)[4] / 600 < 0.02 < found[4]


def test_a_cloud_of_ignored_points_is_cropped_anywhere_and_an_empty_one_is_passed_over() -> None:
    whole = sample()
    whole['gt_semantic'] = np.full(len(whole['points']), -1)
    assert len(SphereCrop(5.0, 'rare')(whole)['points'])
    empty = take_points(whole, np.zeros(0, np.int64))
    assert SphereCrop(5.0)(empty) is None and PackPointInputs()(empty) is None
    for transform in (PointRotate(), PointFlip(), PointJitter(), GridSample(1.0), PointHeight()):
        assert len(transform(empty)['points']) == 0


def test_missing_things_are_named() -> None:
    whole = sample()
    del whole['gt_semantic']
    with pytest.raises(KeyError, match=r'gt_semantic.*street\.npz'):
        SphereCrop(5.0, 'rare')(whole)
    with pytest.raises(KeyError, match='PointHeight'):
        PackPointInputs(('height',))(whole)
    with pytest.raises(KeyError, match='nir'):
        PointDropColor(names=('nir',))(whole)
    whole['gt_instance'] = whole['gt_instance'][:-1]
    with pytest.raises(ValueError, match='of instance'):
        PackPointInputs()(whole)


def test_pack() -> None:
    found = PackPointInputs(('rgb', 'ones', 'xyz'))(sample())
    points, features = found['inputs']['points'], found['inputs']['features']
    assert points.dtype == features.dtype == torch.float32 and features.shape == (len(points), 7)
    assert float(features[:, 6].min()) == 0 and (features[:, 3] == 1).all()
    packed = found['data_samples']
    assert packed.gt_pts_seg.semantic.dtype == torch.int64 and len(packed.gt_pts_seg) == len(points)
    assert packed.metainfo['points_path'] == 'street.npz' and (packed.metainfo['origin'] == ORIGIN).all()


def test_load_points(tmp_path: Path) -> None:
    write_scenes(tmp_path, train=2, val=1)
    pipeline = [LoadPoints(keep=1), PackPointInputs(('rgb',))]
    dataset = DATASETS.build(dataset_config(tmp_path, pipeline=pipeline))
    record = dataset.get_data_info(0)
    found = LoadPoints()(record)
    scene = street(0)
    assert found['points'].astype(np.float64) + found['origin'] == pytest.approx(scene['xyz'], abs=1e-4)
    known = found['gt_semantic'] >= 0
    assert (~known).sum() == -(-len(known) // 40) and (found['gt_semantic'] == scene['semantic'])[known].all()
    assert found['attributes']['rgb'].max() <= 1 and not found['points'].flags.writeable
    loader = dataset.pipeline.transforms[0]
    first = loader(dataset.get_data_info(0))
    assert loader(dataset.get_data_info(0))['points'] is first['points']  # kept
    loader(dataset.get_data_info(1))
    assert list(loader._kept._kept) == [dataset.get_data_info(1)['points_path']]  # the latest alone
    with pytest.raises(PointReadError, match=r'scene_0\.npz: has no nir.*fill'):
        LoadPoints(attributes=('rgb', 'nir'))(record)
    filled = LoadPoints(attributes=('nir',), fill={'nir': 0.25})(record)
    assert filled['attributes'].keys() == {'nir'} and (filled['attributes']['nir'] == 0.25).all()


def test_a_pipeline_is_built_from_a_config() -> None:
    pipeline = Compose([
        dict(type='imbdense.PointHeight', window=20.0), dict(type='imbdense.SphereCrop', radius=6.0, center='rare'),
        dict(type='imbdense.PointRotate'), dict(type='imbdense.PackPointInputs', features=('height', 'rgb')),
    ])  # fmt: skip
    assert pipeline(sample())['inputs']['features'].shape[1] == 4
