"""PointCloud: what it refuses, selections, concatenation, local coordinates."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.data.points import PointCloud, concatenate_clouds
from tests.data.points.clouds import assert_same, random_cloud


@pytest.mark.parametrize(('field', 'value', 'message'), [
    ('xyz', np.zeros((3, 3), np.float32), r'float64 \(N, 3\), but is float32'),
    ('xyz', np.zeros((3, 2)), r'\(3, 2\)'),
    ('attributes', {'height': np.zeros(4)}, r"'height' must be \(3,\) or \(3, k\), but is \(4,\)"),
    ('attributes', {'rgb': np.zeros((3, 3))}, "'rgb' must be uint8"),
    ('semantic', np.zeros(3, np.int32), r'semantic must be int64 \(3,\), but is int32'),
    ('instance', np.zeros(2, np.int64), r'instance must be int64 \(3,\), but is int64 \(2,\)'),
])
def test_wrong_fields_are_refused(field, value, message):
    with pytest.raises(ValueError, match=message):
        PointCloud(**{'xyz': np.zeros((3, 3)), field: value})


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_coordinates_that_are_not_finite_are_counted_and_the_first_is_named(bad):
    xyz = np.zeros((9, 3))
    xyz[[4, 7], [1, 2]] = bad
    with pytest.raises(ValueError, match=r'2 of 9 points have NaN or infinite coordinates, the first is point 4'):
        PointCloud(xyz)


@pytest.mark.parametrize('index', [np.array([3, 3, 0]), slice(2, 7), np.arange(200) % 3 == 0, np.zeros(0, np.int64)])
def test_take_selects_every_field(index):
    cloud = random_cloud()
    part = cloud.take(index)
    np.testing.assert_array_equal(part.xyz, cloud.xyz[index])
    np.testing.assert_array_equal(part.attributes['rgb'], cloud.attributes['rgb'][index])
    np.testing.assert_array_equal(part.semantic, cloud.semantic[index])
    np.testing.assert_array_equal(part.instance, cloud.instance[index])


def test_local_coordinates_keep_a_tenth_of_a_millimetre():
    cloud = random_cloud(whole_mm=False)
    assert cloud.origin.dtype == np.float64 and (cloud.origin == np.floor(cloud.xyz.min(axis=0))).all()
    local = cloud.local()
    assert local.dtype == np.float32 and (local >= 0).all()
    assert np.abs(local + cloud.origin - cloud.xyz).max() < 1e-5  # float32 of the whole coordinate is off by 0.25 m
    np.testing.assert_array_equal(cloud.local(np.zeros(3)), cloud.xyz.astype(np.float32))
    assert (cloud.take(slice(0, 0)).origin == 0).all()


def test_parts_joined_are_the_whole_and_others_are_refused():
    cloud = random_cloud(crs='EPSG:2154')
    parts = [cloud.take(slice(first, first + 70)) for first in range(0, 200, 70)]
    whole = concatenate_clouds(parts)
    assert_same(whole, cloud)
    assert whole.crs == 'EPSG:2154'
    with pytest.raises(ValueError, match='cloud 1 has semantic False, but cloud 0 has True'):
        concatenate_clouds([cloud, cloud.replace(semantic=None)])
    with pytest.raises(ValueError, match='cloud 1 has attributes'):
        concatenate_clouds([cloud, cloud.replace(attributes={})])
    with pytest.raises(ValueError, match='crs None'):
        concatenate_clouds([cloud, cloud.replace(crs=None)])
    with pytest.raises(ValueError, match='at least one'):
        concatenate_clouds([])
