"""Pascal VOC folders."""

import numpy as np
import pytest

from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.voc import read_voc
from tests.data.label_files import write_image
from tests.helpers.shared_data import shared_data_dir

OBJECT = (
    '<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>'
    '<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>'
)


def write_voc(root, objects, size=True):
    """One image ``x`` (30 x 40) with objects (name, box, difficult)."""
    write_image(root / 'JPEGImages' / 'x.png', (30, 40))
    body = ''.join(OBJECT.format(name=name, box=box, difficult=difficult) for name, box, difficult in objects)
    extent = '<size><width>40</width><height>30</height></size>' if size else ''
    (root / 'Annotations').mkdir(parents=True, exist_ok=True)
    (root / 'Annotations' / 'x.xml').write_text(f'<annotation>{extent}{body}</annotation>')
    return root


@pytest.mark.parametrize('size', [True, False])
def test_boxes_count_from_one_and_include_the_last_pixel(tmp_path, size):
    root = write_voc(tmp_path, [('b', (1, 1, 40, 30), 0), ('a', (3, 3, 3, 3), 1)], size)
    found = read_voc(root)
    assert found.classes == ('a', 'b')
    assert found.boxes.tolist() == [[0, 0, 40, 30], [2, 2, 3, 3]]
    assert found.crowd.tolist() == [False, True]
    assert (found.images[0].width, found.images[0].height) == (40, 30)


def test_faulty_boxes_are_clipped_or_dropped(tmp_path):
    root = write_voc(tmp_path, [('a', (0, 5, 50, 9), 0), ('a', (9, 9, 2, 12), 0), ('a', ('x', 1, 2, 3), 0)])
    found = read_voc(root)
    assert found.boxes.tolist() == [[0, 4, 40, 9]]
    assert sorted(finding.code for finding in found.findings) == ['box_outside', 'degenerate_box']


def test_other_names_are_left_out_and_told(tmp_path):
    found = read_voc(write_voc(tmp_path, [('a', (1, 1, 9, 9), 0), ('z', (1, 1, 9, 9), 0)]), classes=['a'])
    assert found.labels.tolist() == [0]
    assert "{'z': 1}" in found.findings[0].message


def test_missing_image_and_broken_xml_name_the_file(tmp_path):
    root = write_voc(tmp_path, [('a', (1, 1, 9, 9), 0)])
    (root / 'list.txt').write_text('x\ny\n')
    with pytest.raises(LabelReadError, match=r'y\.jpg: does not exist'):
        read_voc(root, 'list.txt', ['a'])
    (root / 'Annotations' / 'x.xml').write_text('<annotation><object>')
    with pytest.raises(LabelReadError, match=r'x\.xml: is not valid XML'):
        read_voc(root, None, ['a'])


def test_bccd_counts_are_those_of_its_readme():
    root = shared_data_dir('bccd')
    found = read_voc(root)
    counts = dict(zip(found.classes, np.bincount(found.labels).tolist()))
    assert counts == {'RBC': 4155, 'WBC': 372, 'Platelets': 361}
    assert len(found) == 364
    assert len(read_voc(root, 'ImageSets/Main/train.txt')) == 205
