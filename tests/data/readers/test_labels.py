"""Stored numbers to classes, in the order of the host."""

import numpy as np
import pytest

from imbdense.data.readers import LabelFormat, LabelReadError, colour_table, read_label
from imbdense.data.readers.labels import IGNORED, INVALID
from tests.data.label_files import CLASSES, write_label


def host_labels(label, reduce_zero_label, label_map):
    """The lines of mmseg's LoadAnnotations."""
    label = label.copy()
    if reduce_zero_label:
        label[label == 0] = 255
        label = label - 1
        label[label == 254] = 255
    if label_map:
        before = label.copy()
        for old, new in label_map.items():
            label[before == old] = new
    return label


@pytest.mark.parametrize('reduce_zero_label', [False, True])
@pytest.mark.parametrize('label_map', [None, {0: 1, 1: 0, 2: 255, 3: 2}])
def test_lookup_equals_the_host(reduce_zero_label, label_map):
    label_format = LabelFormat.of(CLASSES, reduce_zero_label=reduce_zero_label, label_map=label_map)
    stored = np.arange(256, dtype=np.uint8)
    expected = host_labels(stored, reduce_zero_label, label_map)
    found = label_format.lookup
    for value in range(256):
        if expected[value] < len(CLASSES):
            assert found[value] == expected[value]
        else:
            assert found[value] == (IGNORED if expected[value] == 255 else INVALID)


def test_another_ignore_index(tmp_path):
    label_format = LabelFormat.of(CLASSES, ignore_index=0)
    path = write_label(tmp_path / 'a.png', np.array([[0, 1, 3]], np.uint8))
    assert read_label(path, label_format).tolist() == [[0, 1, 3]]
    assert label_format.lookup[0] == IGNORED


def test_a_value_out_of_range_names_file_values_and_command(tmp_path):
    path = write_label(tmp_path / 'bad.png', np.array([[0, 9, 77]], np.uint8))
    with pytest.raises(LabelReadError, match=r'bad\.png: holds the values \[9, 77\].*imbdense check'):
        read_label(path, LabelFormat.of(CLASSES))


def test_sixteen_bit_values_do_not_wrap_round(tmp_path):
    path = tmp_path / 'wide.png'
    write_label(path, np.array([[0, 256]], np.uint16))
    with pytest.raises(LabelReadError, match=r'\[256\]'):
        read_label(path, LabelFormat.of(CLASSES))


def test_colours_need_a_palette_and_are_then_mapped(tmp_path):
    rgb = np.array([[[60, 16, 152], [132, 41, 246], [155, 155, 155]]], np.uint8)
    path = write_label(tmp_path / 'rgb.png', rgb)
    with pytest.raises(LabelReadError, match=r'three channels.*palette'):
        read_label(path, LabelFormat.of(('a', 'b')))
    table = colour_table([(60, 16, 152), (132, 41, 246)], ignored=[(155, 155, 155)])
    assert read_label(path, LabelFormat.of(('a', 'b'), palette=table)).tolist() == [[0, 1, 255]]


def test_an_unknown_colour_is_listed(tmp_path):
    path = write_label(tmp_path / 'rgb.png', np.array([[[1, 2, 3], [60, 16, 152]]], np.uint8))
    label_format = LabelFormat.of(('a',), palette=colour_table([(60, 16, 152)]))
    with pytest.raises(LabelReadError, match=r'1 pixels of colours.*\(1, 2, 3\)'):
        read_label(path, label_format)


def test_a_palette_that_names_a_colour_twice_is_refused():
    with pytest.raises(ValueError, match='stands for the indices 0 and 1'):
        colour_table([(1, 2, 3), (1, 2, 3)])


def test_too_many_classes_are_refused():
    with pytest.raises(ValueError, match='1 to 254'):
        LabelFormat.of([str(i) for i in range(255)])


def test_nodata_of_a_geotiff_is_ignored_where_asked(tmp_path):
    rasterio = pytest.importorskip('rasterio')
    path = tmp_path / 'n.tif'
    options = {'driver': 'GTiff', 'height': 1, 'width': 3, 'count': 1, 'dtype': 'uint8', 'nodata': 0}
    with rasterio.open(path, 'w', **options) as target:
        target.write(np.array([[[0, 1, 2]]], np.uint8))
    assert read_label(path, LabelFormat.of(CLASSES)).tolist() == [[0, 1, 2]]
    assert read_label(path, LabelFormat.of(CLASSES, nodata_ignored=True)).tolist() == [[255, 1, 2]]
