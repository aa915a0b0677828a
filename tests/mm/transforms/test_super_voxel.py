"""Super-voxels and feature volumes as transforms: files, other points, packing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('mmcv')

from imbdense.data.points.errors import PointReadError
from imbdense.data.points.feature_files import points_digest, write_volume
from imbdense.mm.transforms.load_feature_volume import LoadFeatureVolume
from imbdense.mm.transforms.pack_point_inputs import PackPointInputs
from imbdense.mm.transforms.point_fields import join_points, take_points
from imbdense.mm.transforms.point_grid_sample import GridSample
from imbdense.mm.transforms.super_voxel import SuperVoxel


def sample(points: int = 300, seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    return {'points': rng.uniform(0, 6, (points, 3)).astype(np.float32), 'origin': np.zeros(3), 'scene': 'a',
            'points_path': 'a.npz', 'attributes': {'rgb': rng.random((points, 3)).astype(np.float32),
                                                   'segment': rng.integers(0, 4, (points, 1)).astype(np.float32)}}


@pytest.mark.parametrize('method', ['geodesic', 'felzenszwalb', 'grid', 'given'])
def test_parts_are_made_kept_and_follow_the_points(method: str, tmp_path: Path) -> None:
    make = SuperVoxel(method, voxel_size=0.5, seed_size=2.0, folder=str(tmp_path))
    first = make.transform(sample())
    files = list(tmp_path.glob('a.*.npz'))
    assert first['supervoxel'].dtype == np.int64 and len(files) == (method != 'given')
    assert np.array_equal(make.transform(sample())['supervoxel'], first['supervoxel'])
    for file in files:
        file.write_bytes(b'broken')
        assert np.array_equal(make.transform(sample())['supervoxel'], first['supervoxel'])
    picked = take_points(first, np.array([5, 2]))
    assert picked['supervoxel'].tolist() == first['supervoxel'][[5, 2]].tolist()
    assert (join_points(first, [sample(4)])['supervoxel'][-4:] == -1).all()
    assert GridSample(1.0).transform(first)['supervoxel'].dtype == np.int64


def test_small_parts_are_dropped_and_missing_segments_named() -> None:
    parts = SuperVoxel('grid', seed_size=1.0, drop_threshold=3).transform(sample())['supervoxel']
    counts = np.bincount(parts[parts >= 0])
    assert counts.min() >= 3 and (parts == -1).any()
    with pytest.raises(KeyError, match="no attribute 'labels'"):
        SuperVoxel('given', given='labels').transform(sample())
    with pytest.raises(ValueError, match='method'):
        SuperVoxel('vccs')


def test_volumes_are_bound_to_their_points(tmp_path: Path) -> None:
    given = sample()
    features = np.random.default_rng(1).normal(size=(300, 5)).astype(np.float32)
    features[::3] = 0
    digest = points_digest(given['points'])
    write_volume(tmp_path / 'a.one.npz', features, np.ones(300), digest)
    loaded = LoadFeatureVolume(str(tmp_path)).transform(given)
    assert np.allclose(loaded['attributes']['view_features'], features, atol=2e-3)
    with pytest.raises(PointReadError, match='other points'):
        LoadFeatureVolume(str(tmp_path)).transform({**given, 'points': given['points'] + 1})
    with pytest.raises(PointReadError, match='one feature volume of scene b'):
        LoadFeatureVolume(str(tmp_path)).transform({**given, 'scene': 'b'})
    write_volume(tmp_path / 'a.two.npz', features * np.nan, np.ones(300), digest)
    with pytest.raises(PointReadError, match=r'a\.one\.npz, a\.two\.npz'):
        LoadFeatureVolume(str(tmp_path)).transform(given)
    with pytest.raises(PointReadError, match='NaN or infinite features of scene a'):
        LoadFeatureVolume(str(tmp_path), tag='two').transform(given)


def test_features_of_a_part_fill_its_unseen_points(tmp_path: Path) -> None:
    given = SuperVoxel('grid', seed_size=2.0).transform(sample())
    features = np.ones((300, 2), np.float32) * given['supervoxel'][:, None] + 1
    features[::2] = 0
    write_volume(tmp_path / 'a.one.npz', features, np.ones(300), points_digest(given['points']))
    found = LoadFeatureVolume(str(tmp_path), pool='supervoxel').transform(given)['attributes']['view_features']
    assert np.allclose(found, given['supervoxel'][:, None] + 1, atol=0.05)
    packed = PackPointInputs(info=('supervoxel', 'rgb')).transform(given)
    info = packed['data_samples'].point_info
    assert info.supervoxel.tolist() == given['supervoxel'].tolist() and info.rgb.shape == (300, 3)
    with pytest.raises(KeyError, match="no 'view_features'"):
        PackPointInputs(info=('view_features',)).transform(given)
