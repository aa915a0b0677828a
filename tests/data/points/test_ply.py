"""PLY: three encodings, element and field names of other toolboxes, damaged files; open3d reads what we write."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.data.points import PointReadError, read_points, write_points
from tests.data.points.clouds import random_cloud

NAMES = ('x', 'y', 'z', 'red', 'green', 'blue', 'label')
TYPES = ('double', 'float', 'float', 'uchar', 'uchar', 'uchar', 'int')
ROWS = [(700000.25, 1.5, 2.5, 1, 2, 3, 4), (700001.25, -1.5, 0.5, 250, 251, 252, 70000)]
NUMPY = {'double': 'f8', 'float': 'f4', 'uchar': 'u1', 'int': 'i4'}


def make(path, order, *, element='vertex', rows=ROWS, before='', after='', tail=b''):
    """Write a PLY file by hand."""
    names = '\n'.join(f'property {kind} {name}' for kind, name in zip(TYPES, NAMES))
    head = f'ply\nformat {order} 1.0\ncomment by hand\n{before}element {element} {len(rows)}\n{names}\n{after}'
    mark = '>' if 'big' in order else '<'
    if order == 'ascii':
        body = ''.join(' '.join(map(repr, row)) + '\n' for row in rows).encode()
    else:
        body = np.array(rows, [(name, mark + NUMPY[kind]) for name, kind in zip(NAMES, TYPES)]).tobytes()
    path.write_bytes(head.encode() + b'end_header\n' + tail + body)
    return path


@pytest.mark.parametrize('order', ['ascii', 'binary_little_endian', 'binary_big_endian'])
@pytest.mark.parametrize('element', ['vertex', 'params', 'Urb3DSimul', 'testing'])
def test_encodings_and_names_of_the_element(tmp_path, order, element):
    faces = 'element face 1\nproperty list uchar int vertex_indices\n'
    cloud = read_points(make(tmp_path / 'c.ply', order, element=element, after=faces))
    assert cloud.xyz.tolist() == [[700000.25, 1.5, 2.5], [700001.25, -1.5, 0.5]]
    assert cloud.attributes['rgb'].tolist() == [[1, 2, 3], [250, 251, 252]]
    assert cloud.semantic.tolist() == [4, 70000]
    assert cloud.xyz.dtype.isnative


@pytest.mark.parametrize(('order', 'tail'), [('ascii', b'7\n8\n'), ('binary_big_endian', bytes(8))])
def test_an_element_before_the_points_is_skipped(tmp_path, order, tail):
    path = make(tmp_path / 'c.ply', order, before='element extra 2\nproperty int number\n', tail=tail)
    assert read_points(path).semantic.tolist() == [4, 70000]


def test_any_field_can_be_the_label(tmp_path):
    write_points(tmp_path / 'c.ply', random_cloud().replace(semantic=None))
    cloud = read_points(tmp_path / 'c.ply', semantic='return_number')
    assert set(cloud.semantic.tolist()) == {1, 2, 3} and 'return_number' not in cloud.attributes


def test_two_elements_with_coordinates_must_be_told_apart(tmp_path):
    axes = 'property float x\nproperty float y\nproperty float z\n'
    path = make(tmp_path / 'c.ply', 'ascii', after=f'element camera 0\n{axes}')
    with pytest.raises(PointReadError, match=r'has 2 elements with x, y and z\. Its elements are vertex, camera'):
        read_points(path)
    assert len(read_points(path, element='vertex')) == 2
    with pytest.raises(PointReadError, match="has no element 'points'"):
        read_points(path, element='points')


@pytest.mark.parametrize(('old', 'new', 'message'), [
    (b'ply\n', b'plx\n', 'is no PLY file'), (b'format', b'comment', 'without format or end'),
    (b'ascii', b'latin', "damaged header line 'format latin"), (b'uchar red', b'byte red', 'property byte red'),
    (b'property float y\n', b'property list uchar float y\n', 'no elements with x, y and z'),
    (b'1.5 2.5', b'1.5', r'point 0 has 6 numbers, expected 7'), (b'1.5 2.5', b'1.5 a', 'is no number'),
    (b'vertex 2', b'vertex 3', 'ends after 2 of 3 points'),
])
def test_damaged_files_say_what_is_wrong(tmp_path, old, new, message):
    path = make(tmp_path / 'c.ply', 'ascii')
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(PointReadError, match=message):
        read_points(path)


def test_open3d_reads_what_we_write_and_we_read_what_it_writes(tmp_path):
    import open3d

    cloud = random_cloud()
    write_points(tmp_path / 'ours.ply', cloud)
    theirs = open3d.t.io.read_point_cloud(str(tmp_path / 'ours.ply'))
    np.testing.assert_array_equal(theirs.point.positions.numpy(), cloud.xyz)
    np.testing.assert_array_equal(theirs.point.colors.numpy(), cloud.attributes['rgb'])
    np.testing.assert_array_equal(theirs.point['semantic'].numpy().ravel(), cloud.semantic)
    open3d.t.io.write_point_cloud(str(tmp_path / 'theirs.ply'), theirs)
    again = read_points(tmp_path / 'theirs.ply')
    np.testing.assert_array_equal(again.xyz, cloud.xyz)
    np.testing.assert_array_equal(again.semantic, cloud.semantic)
