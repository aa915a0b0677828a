"""Text: separators, header rows, meaning of the columns, and lines that are named."""

from __future__ import annotations

import pytest

from imbdense.data.points import PointReadError, iter_points, read_points
from imbdense.data.points.text import count_columns

COLUMNS = ('x', 'y', 'z', 'r', 'g', 'b', 'semantic', 'instance')


@pytest.mark.parametrize('text', [
    'x,y,z,r,g,b,semantic,instance\n1,2,3,4,5,6,7,-100\n8,9,10,11,12,13,14,15\n',
    '1,2,3,4,5,6,7,-100\n8,9,10,11,12,13,14,15\n',
    '1 2 3 4 5 6 7 -100\n8 9 10 11 12 13 14 15\n',
    '//X Y Z R G B semantic instance\n1 2 3 4 5 6 7 -100\n\n# a remark\n8 9 10 11 12 13 14 15',
    '1\t2\t3\t4\t5\t6\t7\t-100\r\n8\t9\t10\t11\t12\t13\t14\t15\r\n',
    '1; 2; 3; 4; 5; 6; 7; -100\n8; 9; 10; 11; 12; 13; 14; 15\n',
    '"x","y","z","r","g","b","semantic","instance"\n1e0,2.0,3,4,5,6,7,-100\n8,9,10,11,12,13,14,15\n',
])
def test_every_way_to_write_a_table(tmp_path, text):
    (tmp_path / 'c.txt').write_text(text)
    cloud = read_points(tmp_path / 'c.txt', columns=COLUMNS)
    assert cloud.xyz.tolist() == [[1, 2, 3], [8, 9, 10]]
    assert cloud.attributes['rgb'].tolist() == [[4, 5, 6], [11, 12, 13]]
    assert cloud.semantic.tolist() == [7, 14] and cloud.instance.tolist() == [-1, 15]
    assert count_columns(tmp_path / 'c.txt') == 8
    assert [part.semantic.tolist() for part in iter_points(tmp_path / 'c.txt', 1, columns=COLUMNS)] == [[7], [14]]


def test_columns_can_be_left_out(tmp_path):
    (tmp_path / 'c.xyz').write_text('1 2 3 99 5\n')
    cloud = read_points(tmp_path / 'c.xyz', columns=('x', 'y', 'z', '_', 'class'))
    assert cloud.semantic.tolist() == [5] and cloud.attributes == {}


@pytest.mark.parametrize(('text', 'columns', 'message'), [
    ('1 2 3\n4 5\n', None, r'has 2 columns in line 2, expected 3: .4 5.'),
    ('x y z\n1 2 3\n\n4 5 6 7\n', None, r'has 4 columns in line 4, expected 3'),
    ('1 2 3\n4 5 6\n7 8 9 # fine\n1 b 3\n', None, r"no number in line 4: '1 b 3'"),
    ('1 2 3 4\n', None, r"has 4 columns and no header row. Say what they are, for example columns=\('x'"),
    ('1 2 3 4\n', ('x', 'y', 'z'), r'has 4 columns in line 1, expected 3 \(x, y, z\)'),
    ('a b c\n1 2 3\n', None, r'has no column x, y, z. The file has the columns a, b, c'),
])
def test_wrong_columns_name_the_line(tmp_path, text, columns, message):
    (tmp_path / 'c.txt').write_text(text)
    with pytest.raises(PointReadError, match=message):
        read_points(tmp_path / 'c.txt', columns=columns)


def test_a_stray_byte_names_the_line(tmp_path):
    (tmp_path / 'c.txt').write_bytes(b'1 2 3\n' * 1000 + b'1 2\x100 3\n')
    with pytest.raises(PointReadError, match='in line 1001'):
        read_points(tmp_path / 'c.txt')


def test_lines_are_counted_over_chunks(tmp_path):
    (tmp_path / 'c.txt').write_text('x y z\n' + '1 2 3\n' * 10 + '1 2\n')
    with pytest.raises(PointReadError, match='in line 12'):
        list(iter_points(tmp_path / 'c.txt', 4))


def test_digits_survive(tmp_path):
    (tmp_path / 'c.txt').write_text('770000.123456789 6277000.1 0.1\n')
    assert read_points(tmp_path / 'c.txt').xyz.tolist() == [[770000.123456789, 6277000.1, 0.1]]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    path = tmp_path / 'excel.csv'
    path.write_text('x,y,z\n1,2,3\n', encoding='utf-8-sig')
    assert read_points(path).xyz.tolist() == [[1, 2, 3]]
    path.write_text('1,2,3\n4,5,6\n', encoding='utf-8-sig')
    assert read_points(path).xyz.tolist() == [[1, 2, 3], [4, 5, 6]]
