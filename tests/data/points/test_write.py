"""Writers: what is read again, copies of LAS files to the bit, chunks, and values that a format cannot hold."""

from __future__ import annotations

import laspy
import numpy as np
import pytest

from imbdense.data.points import (
    PointCloud,
    PointReadError,
    PointWriteError,
    PointWriter,
    iter_points,
    read_points,
    write_points,
)
from imbdense.data.points.las_copy import RawLas
from imbdense.data.points.las_write import check_copy
from tests.data.points.clouds import WKT, assert_same, random_cloud
from tests.helpers.shared_data import shared_data_dir


@pytest.mark.parametrize(('suffix', 'tolerance'), [
    ('las', 1e-9), ('laz', 1e-9), ('ply', 0), ('txt', 0), ('csv', 0), ('npz', 0),
])
def test_what_is_written_comes_back(tmp_path, suffix, tolerance):
    cloud = random_cloud(crs=WKT, whole_mm=suffix in ('las', 'laz'))
    write_points(tmp_path / f'c.{suffix}', cloud)
    again = read_points(tmp_path / f'c.{suffix}')
    assert_same(again, cloud, tolerance)
    assert again.crs == (WKT if suffix in ('las', 'laz', 'npz') else None)
    if suffix not in ('txt', 'csv'):
        assert {name: v.dtype for name, v in again.attributes.items()} == {
            name: v.dtype for name, v in cloud.attributes.items()}


@pytest.mark.parametrize('suffix', ['las', 'laz', 'ply', 'txt', 'npz'])
def test_chunks_give_the_file_of_the_whole(tmp_path, suffix):
    cloud = random_cloud()
    write_points(tmp_path / f'whole.{suffix}', cloud)
    with PointWriter(tmp_path / f'parts.{suffix}') as writer:
        for first in range(0, 200, 60):
            writer.append(cloud.take(slice(first, first + 60)))
    if suffix in ('las', 'laz'):  # bytes differ: laz is packed in other pieces
        assert_same(read_points(tmp_path / f'parts.{suffix}'), read_points(tmp_path / f'whole.{suffix}'))
    else:
        assert (tmp_path / f'parts.{suffix}').read_bytes() == (tmp_path / f'whole.{suffix}').read_bytes()


@pytest.mark.parametrize('suffix', ['las', 'laz', 'ply', 'txt', 'npz'])
def test_nothing_is_left_of_a_write_that_fails(tmp_path, suffix):
    (tmp_path / f'c.{suffix}').write_text('before')
    with pytest.raises(KeyboardInterrupt), PointWriter(tmp_path / f'c.{suffix}') as writer:
        writer.append(random_cloud())
        raise KeyboardInterrupt
    assert (tmp_path / f'c.{suffix}').read_text() == 'before'
    assert [path.name for path in tmp_path.iterdir()] == [f'c.{suffix}']


def test_wrong_use_is_named(tmp_path):
    cloud = random_cloud()
    with pytest.raises(PointWriteError, match=r'\.e57 cannot be written'):
        write_points(tmp_path / 'c.e57', cloud)
    with pytest.raises(PointWriteError, match='like= keeps the fields of a LAS file'):
        write_points(tmp_path / 'c.ply', cloud, like=tmp_path / 'a.las')
    with pytest.raises(PointWriteError, match='no points were appended'), PointWriter(tmp_path / 'c.ply'):
        pass
    for suffix in ('las', 'ply', 'txt'):
        with pytest.raises(PointWriteError, match='this chunk has'), PointWriter(tmp_path / f'c.{suffix}') as writer:
            writer.append(cloud)
            writer.append(cloud.replace(attributes={}, instance=None))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(('changes', 'message'), [
    (dict(semantic=np.full(200, -1)), r'classification holds 0 to 255 .* have \[-1\]'),
    (dict(semantic=np.full(200, 256)), r'have \[256\]'),
    (dict(attributes={'intensity': np.full(200, 0.5, np.float32)}), 'LAS stores intensity as whole numbers 0 to 65535'),
    (dict(attributes={'scores': np.zeros((200, 4), np.float32)}), "'scores' is float32 with 4 columns"),
    (dict(attributes={'name': np.full(200, 'a')}), "'name' is <U1"),
    (dict(attributes={'n' * 33: np.zeros(200)}), 'longer than the 32 bytes'),
    (dict(xyz=np.linspace(0, 1e7, 600).reshape(200, 3)), 'spans more than 4,000 km'),
])
def test_what_las_cannot_hold_is_named(tmp_path, changes, message):
    with pytest.raises(PointWriteError, match=message):
        write_points(tmp_path / 'c.las', random_cloud().replace(**changes))


def las_with_everything(path):
    """Format 8, odd scales, extra dimensions, records before and after the points, dates and identifiers."""
    las = laspy.create(point_format=8, file_version='1.4')
    las.header.scales, las.header.offsets = np.array([0.01, 0.02, 0.001]), np.array([1000.0, 2000.0, 3.0])
    las.header.system_identifier, las.header.generating_software = 'SCANNER 7', 'their software'
    las.header.file_source_id = 77
    rng = np.random.default_rng(1)
    las.add_extra_dim(laspy.ExtraBytesParams('amplitude', 'f8', description='linear'))
    las.add_extra_dim(laspy.ExtraBytesParams('height', 'u2', scales=np.array([0.01]), offsets=np.array([1.0])))
    for name in las.point_format.dimension_names:
        if name in ('X', 'Y', 'Z'):
            las[name] = rng.integers(0, 5000, 300).astype(np.int32)
        elif name not in ('height', 'amplitude', 'gps_time', 'scan_angle'):
            bits = las.point_format.dimension_by_name(name).num_bits
            las[name] = rng.integers(0, 2 ** min(bits, 16), 300)
    las.gps_time, las.amplitude, las.height = rng.random(300), rng.random(300), rng.integers(1, 99, 300)
    las.scan_angle = rng.integers(-3000, 3000, 300)
    las.header.vlrs.append(laspy.VLR('someone', 4711, 'their record', b'\x00\x01binary\xff' * 9))
    las.header.vlrs.append(laspy.vlrs.known.WktCoordinateSystemVlr(WKT))
    las.evlrs = laspy.vlrs.vlrlist.VLRList([laspy.VLR('after', 1, 'behind the points', b'tail' * 50)])
    las.write(str(path))


@pytest.mark.parametrize('source', ['las', 'laz'])
@pytest.mark.parametrize('target', ['las', 'laz'])
def test_copy_keeps_every_field_record_and_the_header_to_the_bit(tmp_path, source, target):
    like, path = tmp_path / f'like.{source}', tmp_path / f'copy.{target}'
    las_with_everything(like)
    cloud = read_points(like)
    added = {'score': np.linspace(0, 1, 300, dtype=np.float32), 'probability': np.ones((300, 3), np.float32)}
    predicted = (cloud.semantic + 1) % 256
    with PointWriter(path, like=like) as writer:
        for first in range(0, 300, 70):
            part = slice(first, first + 70)
            writer.append(PointCloud(cloud.xyz[part], {n: v[part] for n, v in added.items()}, predicted[part]))
    before, after = laspy.read(str(like)), laspy.read(str(path))
    for name in before.points.array.dtype.names:
        if name != 'classification':
            assert before.points.array[name].tobytes() == after.points.array[name].tobytes(), name
    assert np.asarray(after.classification).tolist() == predicted.tolist()
    np.testing.assert_array_equal(after.score, added['score'])
    np.testing.assert_array_equal(after.probability, added['probability'])
    one, other = RawLas.of(like), RawLas.of(path)
    assert len(one.records) == len(other.records) == 3
    for record, copied in zip(one.records, other.records):
        assert record == copied or (record.describes_dimensions and copied.data.startswith(record.data))
    assert one.extended == other.extended and one.extended[0].data == b'tail' * 50
    for begin, end in ((4, 94), (107, 235), (247, 375)):  # all but sizes, offsets and the point format
        assert one.header[begin:end] == other.header[begin:end]


@pytest.mark.parametrize('target', ['las', 'laz'])
def test_copy_keeps_texts_of_records_that_are_not_ascii_or_fill_their_field(tmp_path, target):
    like, path = tmp_path / 'like.las', tmp_path / f'copy.{target}'
    las_with_everything(like)
    content = like.read_bytes()
    for plain, odd in ((b'their record' + bytes(20), 'Höhe über Normalhöhennull, m'.encode().ljust(32, b'!')),
                       (b'behind the points' + bytes(15), b'\xe4\xf6 latin'.ljust(32, b'?')),
                       (b'SCANNER 7' + bytes(23), 'Gerät 7'.encode().ljust(32, b'\0'))):
        assert len(plain) == len(odd) == 32 and content.count(plain) == 1
        content = content.replace(plain, odd)
    like.write_bytes(content)
    write_points(path, PointCloud(read_points(like).xyz, {'mark': np.ones(300, np.uint8)}), like=like)
    one, other = RawLas.of(like), RawLas.of(path)
    assert one.extended == other.extended and one.header[4:94] == other.header[4:94]
    assert [r for r in one.records if not r.describes_dimensions] == \
        [r for r in other.records if not r.describes_dimensions]
    assert len(other.records) == 3 and laspy.read(str(path)).mark.sum() == 300


def test_copy_without_changes_has_equal_points_and_can_be_copied_again(tmp_path):
    like = tmp_path / 'like.las'
    las_with_everything(like)
    cloud = read_points(like)
    write_points(tmp_path / 'same.las', cloud, like=like)
    assert (tmp_path / 'same.las').read_bytes() == like.read_bytes()
    bare = PointCloud(cloud.xyz, {'first': np.zeros(300, np.uint8)}, instance=np.arange(300) - 1)
    write_points(tmp_path / 'one.las', bare, like=like)
    write_points(tmp_path / 'two.las', bare.replace(attributes={'second': np.ones(300)}), like=tmp_path / 'one.las')
    again = read_points(tmp_path / 'two.las')
    assert {'amplitude', 'height', 'first', 'second'} <= set(again.attributes)
    assert again.instance.tolist() == list(range(-1, 299))
    np.testing.assert_array_equal(again.semantic, cloud.semantic)


def test_a_copy_exchanges_the_dimensions_that_are_named_and_no_others(tmp_path):
    like = tmp_path / 'like.las'
    las_with_everything(like)
    bare = PointCloud(read_points(like).xyz)
    first = {'predicted': np.full(300, 7, np.uint8), 'mark': np.zeros(300, np.uint8)}
    write_points(tmp_path / 'one.las', bare.replace(attributes=first), like=like)
    second = bare.replace(attributes={'predicted': np.full(300, 9, np.uint8), 'mark': np.ones(300, np.uint8)})
    write_points(tmp_path / 'two.las', second, like=tmp_path / 'one.las', exchange=('predicted',))
    before, after = laspy.read(str(tmp_path / 'one.las')), laspy.read(str(tmp_path / 'two.las'))
    assert np.unique(after.predicted).tolist() == [9]
    for name in before.points.array.dtype.names:
        if name != 'predicted':
            assert before.points.array[name].tobytes() == after.points.array[name].tobytes(), name
    assert RawLas.of(tmp_path / 'one.las').records == RawLas.of(tmp_path / 'two.las').records


def test_a_dimension_of_another_type_is_not_overwritten(tmp_path):
    like = tmp_path / 'like.las'
    las_with_everything(like)
    cloud = PointCloud(read_points(like).xyz, {'amplitude': np.ones(300, np.float32)})
    for check in (lambda: check_copy(tmp_path / 'c.las', cloud, like, ('amplitude',)),
                  lambda: write_points(tmp_path / 'c.las', cloud, like=like, exchange=('amplitude',))):
        with pytest.raises(PointWriteError, match=r"c\.las: .*'amplitude' of another type \(float64\).*\(f4\)"):
            check()
    assert not (tmp_path / 'c.las').exists()


def test_copy_of_old_files_and_of_files_without_extra_dimensions(tmp_path):
    las = laspy.create(point_format=1, file_version='1.2')
    las.x = np.arange(9.0)
    las.classification = np.arange(9)
    las.write(str(tmp_path / 'old.las'))
    cloud = read_points(tmp_path / 'old.las')
    write_points(tmp_path / 'same.las', cloud, like=tmp_path / 'old.las')
    assert (tmp_path / 'same.las').read_bytes() == (tmp_path / 'old.las').read_bytes()
    with pytest.raises(PointWriteError, match=r'0 to 31 in point format 1, but the labels have \[64\]'):
        write_points(tmp_path / 'new.las', cloud.replace(semantic=np.full(9, 64)), like=tmp_path / 'old.las')
    write_points(tmp_path / 'new.las', cloud.replace(semantic=None, attributes={'pred': np.full(9, 64, np.uint8)}),
                 like=tmp_path / 'old.las')
    assert read_points(tmp_path / 'new.las').attributes['pred'].tolist() == [64] * 9


def test_other_points_than_those_of_the_original_are_refused(tmp_path):
    like = tmp_path / 'like.las'
    las_with_everything(like)
    cloud = read_points(like, attributes=())
    for given, message in (
        (cloud.take(slice(0, 299)), '299 points were given, but .* has 300'),
        (cloud.take(np.append(np.arange(300), 0)), '301 points were given'),
        (cloud.take(np.arange(300)[::-1]), r'not the next ones of .*like\.las \(X differs\)'),
    ):
        with pytest.raises(PointWriteError, match=message):
            write_points(tmp_path / 'copy.las', given, like=like)
    assert not (tmp_path / 'copy.las').exists()
    like.write_bytes(like.read_bytes()[:-15_000])
    with pytest.raises(PointReadError, match=r'like\.las'):
        write_points(tmp_path / 'copy.las', cloud, like=like)


def test_files_with_waveforms_are_refused_and_an_index_is_left_out(tmp_path):
    like = tmp_path / 'like.las'
    las_with_everything(like)
    cloud = read_points(like, attributes=())
    las = laspy.read(str(like))
    las.header.vlrs.insert(0, laspy.VLR('copc', 1, 'index', bytes(160)))
    las.write(str(like))
    write_points(tmp_path / 'copy.las', cloud, like=like)
    assert 'copc' not in {record.user_id for record in RawLas.of(tmp_path / 'copy.las').records}
    raw = bytearray(like.read_bytes())
    raw[6] |= 2
    like.write_bytes(raw)
    with pytest.raises(PointWriteError, match='holds waveforms'):
        write_points(tmp_path / 'copy.las', cloud, like=like)


def test_real_tile_comes_back_with_labels_in_place(tmp_path):
    path = shared_data_dir('ign_lidar_hd', 'val', 'tile_77060_627755.laz')
    with PointWriter(tmp_path / 'copy.laz', like=path) as writer:
        for cloud in iter_points(path, 20_000, attributes=()):
            writer.append(cloud.replace(semantic=(cloud.semantic + 3) % 70))
    before, after = laspy.read(str(path)), laspy.read(str(tmp_path / 'copy.laz'))
    assert all(before.points.array[n].tobytes() == after.points.array[n].tobytes()
               for n in before.points.array.dtype.names if n != 'classification')
    np.testing.assert_array_equal(after.classification, (np.asarray(before.classification).astype(int) + 3) % 70)
    assert RawLas.of(path).header[:94] == RawLas.of(tmp_path / 'copy.laz').header[:94]
    assert RawLas.of(path).records == RawLas.of(tmp_path / 'copy.laz').records
