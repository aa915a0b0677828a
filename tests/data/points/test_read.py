"""What all readers share: suffixes, colours, labels, choice of fields, chunks, and errors that name the file."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from imbdense.data.points import PointReadError, concatenate_clouds, iter_points, read_points, write_points
from tests.data.points.clouds import assert_same, random_cloud

FORMATS = ('las', 'laz', 'ply', 'txt', 'csv', 'npz')


@pytest.mark.parametrize(('name', 'message'), [
    ('cloud.e57', r'suffix \.e57, which is no format of points. Expected one of \.las'), ('cloud', r'\(none\)'),
])
def test_wrong_suffix_lists_the_known_ones(tmp_path, name, message):
    (tmp_path / name).write_text('x')
    with pytest.raises(PointReadError, match=message) as error:
        read_points(tmp_path / name)
    assert error.value.code == 'suffix'
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)  # workers hand errors on


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'gone\.laz does not exist'):
        read_points(tmp_path / 'gone.laz')


@pytest.mark.parametrize('suffix', FORMATS)
def test_chunks_joined_are_the_whole(tmp_path, suffix):
    write_points(tmp_path / f'c.{suffix}', random_cloud())
    whole = read_points(tmp_path / f'c.{suffix}')
    parts = list(iter_points(tmp_path / f'c.{suffix}', 64))
    assert [len(part) for part in parts] == [64, 64, 64, 8]
    assert_same(concatenate_clouds(parts), whole)


@pytest.mark.parametrize('suffix', FORMATS)
def test_fields_are_chosen(tmp_path, suffix):
    cloud = random_cloud()
    write_points(tmp_path / f'c.{suffix}', cloud)
    assert read_points(tmp_path / f'c.{suffix}', attributes=()).attributes == {}
    chosen = read_points(tmp_path / f'c.{suffix}', attributes=('planarity', 'rgb'))
    assert chosen.attributes.keys() == {'planarity', 'rgb'}
    np.testing.assert_array_equal(chosen.attributes['planarity'], cloud.attributes['planarity'])
    with pytest.raises(PointReadError, match=r'has no roughness\. The file has the columns .*planarity'):
        read_points(tmp_path / f'c.{suffix}', attributes=('roughness',))
    with pytest.raises(PointReadError, match="no column 'tree' for instance labels"):
        read_points(tmp_path / f'c.{suffix}', instance='tree')


def rows(path, lines, header='x y z r g b'):
    path.write_text('\n'.join([header, *lines]) + '\n')
    return path


@pytest.mark.parametrize(('colours', 'expected'), [
    (('0 128 255', '1 2 3'), [[0, 128, 255], [1, 2, 3]]),  # 8 bit
    (('0 0 0', '0 0 0'), [[0, 0, 0], [0, 0, 0]]),  # no colour stored
    (('0 32768 65280', '256 512 65535'), [[0, 128, 255], [1, 2, 255]]),  # 16 bit, times 256
    (('257 0 65535', '514 771 256'), [[1, 0, 255], [2, 3, 1]]),  # 16 bit, times 257
    (('0 0.5 1', '0.2 0 0'), [[0, 128, 255], [51, 0, 0]]),  # fractions of one
])
def test_colours_become_8_bit(tmp_path, colours, expected):
    path = rows(tmp_path / 'c.txt', [f'0 0 {number} {colour}' for number, colour in enumerate(colours)])
    assert read_points(path).attributes['rgb'].tolist() == expected


def test_depth_of_colours_is_one_for_all_chunks(tmp_path):
    """The first chunk alone looks like 8 bit."""
    path = rows(tmp_path / 'c.txt', ['0 0 0 200 0 0', '0 0 1 0 0 60000'])
    assert [cloud.attributes['rgb'].tolist() for cloud in iter_points(path, 1)] == [[[0, 0, 0]], [[0, 0, 234]]]


@pytest.mark.parametrize(('colour', 'message'), [
    ('-1 0 0', r'reach from -1\.0'), ('70000 0 0', '70000'), ('1.5 0 0', 'have fractions'),
])
def test_impossible_colours_are_refused(tmp_path, colour, message):
    with pytest.raises(PointReadError, match=message) as error:
        read_points(rows(tmp_path / 'c.txt', [f'0 0 0 {colour}']))
    assert error.value.code == 'colours'


def test_labels_without_value_are_ignored_and_fractions_refused(tmp_path):
    path = rows(tmp_path / 'c.txt', ['0 0 0 3', '0 0 1 nan', '0 0 2 -100'], 'x y z scalar_Label')
    assert read_points(path).semantic.tolist() == [3, -1, -1]
    with pytest.raises(PointReadError, match=r"'scalar_Label' holds 2\.5 at point 0"):
        read_points(rows(path, ['0 0 0 2.5'], 'x y z scalar_Label'))


def test_two_columns_that_may_be_labels_must_be_told_apart(tmp_path):
    path = rows(tmp_path / 'c.txt', ['0 0 0 3 4'], 'x y z label class')
    with pytest.raises(PointReadError, match='class and label, which may both be semantic labels'):
        read_points(path)
    cloud = read_points(path, semantic='label')
    assert cloud.semantic.tolist() == [3] and cloud.attributes['class'].tolist() == [4]


@pytest.mark.parametrize('suffix', FORMATS)
def test_a_file_without_points_is_an_error(tmp_path, suffix):
    write_points(tmp_path / f'c.{suffix}', random_cloud().take(slice(0, 0)))
    with pytest.raises(PointReadError, match=rf'c\.{suffix}: holds no points') as error:
        read_points(tmp_path / f'c.{suffix}')
    assert error.value.code == 'empty'
    with pytest.raises(PointReadError, match='holds no points'):
        list(iter_points(tmp_path / f'c.{suffix}'))


@pytest.mark.parametrize('suffix', ('ply', 'npz', 'txt'))
def test_bad_coordinates_are_counted_and_numbered_in_the_file(tmp_path, suffix):
    cloud = random_cloud()
    cloud.xyz[[150, 160], 2] = np.nan  # spoilt after the check
    path = tmp_path / f'bad.{suffix}'
    if suffix == 'npz':
        np.savez(path, xyz=cloud.xyz)
    else:
        write_points(path, cloud)
    with pytest.raises(PointReadError, match=rf'bad\.{suffix}: 2 of the 200 points .* the first is point 150'):
        read_points(path)
    with pytest.raises(PointReadError, match=r'2 of the 50 points from 150 on .* the first is point 150'):
        list(iter_points(path, 50))


@pytest.mark.parametrize('suffix', ('las', 'laz', 'ply', 'npz'))
def test_a_file_that_is_cut_off_is_an_error_wherever_it_ends(tmp_path, suffix):
    write_points(tmp_path / f'c.{suffix}', random_cloud())
    whole = (tmp_path / f'c.{suffix}').read_bytes()
    for length in (0, 3, 60, 300, len(whole) // 2, len(whole) - 5):
        (tmp_path / f'cut.{suffix}').write_bytes(whole[:length])
        with pytest.raises(PointReadError, match=rf'cut\.{suffix}') as error:
            read_points(tmp_path / f'cut.{suffix}')
        assert error.value.code in ('truncated', 'unreadable')


def test_chunk_of_no_points_is_refused(tmp_path):
    with pytest.raises(ValueError, match='at least 1 point'):
        next(iter_points(tmp_path / 'c.txt', 0))
