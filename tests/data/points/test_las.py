"""LAS and LAZ: fields of every point format, coordinate systems, missing packages, damaged files."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import sys

import laspy
import numpy as np
import pytest

from imbdense.data.points import PointReadError, iter_points, read_points, write_points
from tests.data.points.clouds import WKT, random_cloud
from tests.helpers.shared_data import shared_data_dir


def las_file(path, point_format=3, version='1.2', count=50, **fields):
    """A LAS file made with laspy."""
    las = laspy.create(point_format=point_format, file_version=version)
    las.header.scales, las.header.offsets = np.full(3, 0.01), np.array([770_000, 6_277_000, 0])
    rng = np.random.default_rng(0)
    for axis in 'xyz':
        las[axis] = rng.integers(0, 1000, count) / 100 + {'x': 770_000, 'y': 6_277_000, 'z': 50}[axis]
    for name, values in fields.items():
        las[name] = values
    las.write(str(path))
    return las


@pytest.mark.parametrize(('point_format', 'version'), [(0, '1.2'), (3, '1.2'), (6, '1.4'), (7, '1.4'), (8, '1.4')])
def test_point_formats(tmp_path, point_format, version):
    code = np.arange(50) % 6
    las = las_file(tmp_path / 'c.las', point_format, version, classification=code, intensity=np.arange(50) * 1000)
    cloud = read_points(tmp_path / 'c.las')
    np.testing.assert_allclose(cloud.xyz, np.column_stack([las.x, las.y, las.z]), rtol=0, atol=1e-9)
    assert cloud.semantic.tolist() == code.tolist()
    assert cloud.attributes['intensity'].dtype == np.float32 and cloud.attributes['intensity'][3] == 3000
    assert ('rgb' in cloud.attributes, 'nir' in cloud.attributes) == (point_format in (3, 7, 8), point_format == 8)
    assert cloud.crs is None


def test_colours_of_16_and_of_8_bit(tmp_path):
    wide = np.arange(50, dtype=np.uint16) * 257
    las_file(tmp_path / '16.las', 8, '1.4', red=wide, green=wide * 2, blue=wide * 3, nir=wide * 5)
    narrow = wide // 257
    las_file(tmp_path / '8.las', 8, '1.4', red=narrow, green=narrow * 2, blue=narrow * 3, nir=narrow * 5)
    for one, other in zip(iter_points(tmp_path / '16.las', 20), iter_points(tmp_path / '8.las', 20)):
        np.testing.assert_array_equal(one.attributes['rgb'], other.attributes['rgb'])
        np.testing.assert_array_equal(one.attributes['nir'], other.attributes['nir'])
    assert read_points(tmp_path / '8.las').attributes['rgb'][49].tolist() == [49, 98, 147]


def test_dimensions_by_name_and_the_angle_in_degrees(tmp_path):
    las_file(tmp_path / 'old.las', 1, gps_time=np.arange(50.0), scan_angle_rank=np.full(50, -15))
    las_file(tmp_path / 'new.las', 6, '1.4', scan_angle=np.full(50, -2500))
    cloud = read_points(tmp_path / 'old.las', attributes=('gps_time', 'scan_angle', 'point_source_id'))
    assert cloud.attributes['gps_time'][7] == 7 and set(cloud.attributes['point_source_id']) == {0}
    assert set(cloud.attributes['scan_angle']) == {-15.0}
    new = read_points(tmp_path / 'new.las', attributes=('scan_angle',))
    assert set(new.attributes['scan_angle']) == {np.float32(-15.0)}
    with pytest.raises(PointReadError, match=r'has no reflectance. The file has the columns x, y, z, intensity'):
        read_points(tmp_path / 'new.las', attributes=('reflectance',))


def test_extra_dimensions_are_attributes_instances_or_labels(tmp_path):
    las = las_file(tmp_path / 'c.las')
    las.add_extra_dim(laspy.ExtraBytesParams('treeID', 'i4'))
    las.add_extra_dim(laspy.ExtraBytesParams('height', 'u2', scales=np.array([0.01]), offsets=np.array([1.0])))
    las.add_extra_dim(laspy.ExtraBytesParams('normal', '3f4'))
    las.treeID, las.height = np.arange(50) - 1, np.full(50, 3.5)
    las.normal = np.tile(np.array([0, 0, 1], np.float32), (50, 1))
    las.write(str(tmp_path / 'c.las'))
    cloud = read_points(tmp_path / 'c.las', instance='treeID')
    assert cloud.instance.tolist() == list(range(-1, 49))
    np.testing.assert_allclose(cloud.attributes['height'], 3.5)
    assert cloud.attributes['normal'].shape == (50, 3)
    assert read_points(tmp_path / 'c.las', semantic='treeID').semantic[9] == 8


def test_coordinate_system_of_geotiff_keys(tmp_path):
    las = las_file(tmp_path / 'c.las')
    directory = laspy.vlrs.known.GeoKeyDirectoryVlr()
    keys = np.array([1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 2154], '<u2').tobytes()
    directory.parse_record_data(keys)
    las.header.vlrs.append(directory)
    las.write(str(tmp_path / 'c.las'))
    assert read_points(tmp_path / 'c.las').crs == 'EPSG:2154'
    write_points(tmp_path / 'wkt.las', random_cloud(crs=WKT))
    assert read_points(tmp_path / 'wkt.las').crs == WKT
    write_points(tmp_path / 'epsg.las', random_cloud(crs='EPSG:2154'))
    assert '"EPSG","2154"' in read_points(tmp_path / 'epsg.las').crs


def test_without_lazrs_packed_files_name_it_and_plain_ones_work(tmp_path, monkeypatch):
    cloud = random_cloud()
    write_points(tmp_path / 'c.laz', cloud)
    write_points(tmp_path / 'c.las', cloud)
    monkeypatch.setattr(laspy.LazBackend, 'is_available', lambda self: False)
    with pytest.raises(PointReadError, match=r'c\.laz: is compressed .* lazrs.* pip install lazrs') as error:
        read_points(tmp_path / 'c.laz')
    assert error.value.code == 'backend'
    with pytest.raises(PointReadError, match='pip install lazrs'):
        write_points(tmp_path / 'd.laz', cloud)
    assert not (tmp_path / 'd.laz').exists()
    assert len(read_points(tmp_path / 'c.las')) == 200


def test_without_laspy_the_error_names_it(tmp_path, monkeypatch):
    write_points(tmp_path / 'c.las', random_cloud())
    monkeypatch.setitem(sys.modules, 'laspy', None)
    with pytest.raises(PointReadError, match=r'needs laspy.*pip install "laspy\[lazrs\]"'):
        read_points(tmp_path / 'c.las')


def test_what_is_no_las_file_is_named(tmp_path):
    (tmp_path / 'c.las').write_bytes(b'<html>' * 200)
    with pytest.raises(PointReadError, match=r'c\.las: cannot be read as LAS'):
        read_points(tmp_path / 'c.las')


def test_real_tiles():
    path = shared_data_dir('ign_lidar_hd', 'train', 'semis_2023_0292_6833.laz')
    cloud = read_points(path)
    assert len(cloud) == 289_055 and 'Lambert-93' in cloud.crs
    codes, counts = np.unique(cloud.semantic, return_counts=True)
    assert dict(zip(codes.tolist(), counts.tolist())) == {
        1: 11_861, 2: 152_678, 3: 3_124, 4: 5_962, 5: 71_684, 6: 43_278, 17: 267, 64: 47, 66: 12, 67: 142}
    dense = read_points(shared_data_dir('ign_lidar_hd', 'val', 'tile_77060_627755.laz'))
    assert set(dense.attributes) == {'rgb', 'nir', 'intensity', 'return_number', 'number_of_returns'}
    assert sum(len(part) for part in iter_points(path, 100_000)) == 289_055


def in_forked_worker(path):
    return len(read_points(path))


def test_a_forked_loader_worker_reads_laz_that_the_parent_has_read(tmp_path):
    """Threads do not survive a fork: a parallel unpacker that the parent has used would wait for ever."""
    path = tmp_path / 'c.laz'
    write_points(path, random_cloud(60_000))  # more than one chunk of LAZ, so that a parallel unpacker starts threads
    assert len(read_points(path)) == 60_000
    context = multiprocessing.get_context('fork')
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        found = pool.submit(in_forked_worker, path)
        try:
            assert found.result(timeout=60) == 60_000
        except concurrent.futures.TimeoutError:
            for worker in list(pool._processes.values()):
                worker.kill()  # or the pool would wait for it
            pytest.fail('reading LAZ in a forked process hangs')
