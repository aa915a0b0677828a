"""COCO files, good, odd and broken."""

import json

import numpy as np
import pytest

from imbdense.data.readers.coco import read_coco
from imbdense.data.readers.errors import LabelReadError
from tests.data.label_files import coco_record, write_coco
from tests.helpers.shared_data import shared_data_dir


def test_classes_by_ascending_id_boxes_by_image(tmp_path):
    found = read_coco(write_coco(tmp_path / 'a.json'))
    assert found.classes == ('cat', 'dog')
    assert found.category_ids == (3, 8)
    assert found.indptr.tolist() == [0, 2, 3]
    assert found.labels.tolist() == [0, 1, 0]
    assert found.boxes[0].tolist() == [10, 10, 30, 40]
    assert found.crowd.tolist() == [False, False, True]
    assert found.findings == ()


def test_a_class_list_chooses_and_orders(tmp_path):
    found = read_coco(write_coco(tmp_path / 'a.json'), ['dog'])
    assert found.labels.tolist() == [0]
    assert found.category_ids == (8,)
    with pytest.raises(LabelReadError, match=r"no category \['cow'\]; it has \['cat', 'dog'\]"):
        read_coco(write_coco(tmp_path / 'a.json'), ['cow'])


def test_spelling_variants_ids_from_zero_and_missing_fields(tmp_path):
    record = {
        'images': [{'id': 0, 'filename': 'x.jpg'}],
        'annotation': [{'image_id': 0, 'category_id': 0, 'bbox': [1, 2, 3, 4]}],
        'categories': [{'id': 0, 'name': 'only'}],
    }
    found = read_coco(write_coco(tmp_path / 'a.json', record))
    assert found.images[0].file_name == 'x.jpg'
    assert found.area.tolist() == [12]
    assert found.labels.tolist() == [0]


def test_boxes_are_clipped_or_dropped_and_counted(tmp_path):
    boxes = [[90, 70, 20, 20], [200, 10, 5, 5], [5, 5, 0, 4], [5, 5, -3, 4], [1, 1, 2, 2], [float('nan'), 1, 2, 2]]
    annotations = [{'id': i, 'image_id': 7, 'category_id': 3, 'bbox': box, 'iscrowd': 0} for i, box in enumerate(boxes)]
    found = read_coco(write_coco(tmp_path / 'a.json', coco_record(annotations=annotations)))
    assert found.boxes.tolist() == [[90, 70, 100, 80], [1, 1, 3, 3]]
    assert {finding.code: finding.message.split()[1] for finding in found.findings} == {
        'degenerate_box': '4',
        'box_outside': '1',
    }
    assert 'a.png' in found.findings[0].message


def test_unknown_references_are_errors_that_count(tmp_path):
    annotations = [
        {'image_id': 7, 'category_id': 99, 'bbox': [1, 1, 2, 2]},
        {'image_id': 1234, 'category_id': 3, 'bbox': [1, 1, 2, 2]},
        {'image_id': 7, 'category_id': 3, 'bbox': None},
    ]
    found = read_coco(write_coco(tmp_path / 'a.json', coco_record(annotations=annotations)))
    assert {finding.code for finding in found.findings} == {'unknown_category', 'unknown_image', 'no_box'}
    assert len(found.labels) == 0


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ('', 'not valid JSON'),
        ('{"images": [', 'not valid JSON.*get it again'),
        ('[]', 'result file'),
        ('{}', "no 'images'"),
        (json.dumps(coco_record(images=[])), 'lists no images.*export it again'),
        (json.dumps(coco_record(categories=[])), '0 categories'),
        (json.dumps(coco_record(images=[{'id': 1, 'file_name': 'a'}] * 2)), r'several images with the ids \[1\]'),
        (json.dumps(coco_record(images=[{'id': 1}])), 'lacks an id or a file name'),
        (json.dumps(coco_record(categories=[{'id': 1, 'name': 'a'}, {'id': 2, 'name': 'a'}])), "called \\['a'\\]"),
    ],
)
def test_broken_files_name_themselves_and_the_cure(tmp_path, content, words):
    path = tmp_path / 'broken.json'
    path.write_text(content)
    with pytest.raises(LabelReadError, match=rf'broken\.json.*{words}'):
        read_coco(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(LabelReadError, match='does not exist'):
        read_coco(tmp_path / 'none.json')


def test_hit_uav_counts_are_those_of_its_readme():
    folder = shared_data_dir('hit_uav', 'annotations')
    for name, expected, crowd in (('train', [504, 572, 254, 76, 0], 6), ('val', [197, 199, 240, 12, 0], 1)):
        found = read_coco(folder / f'{name}.json')
        assert np.bincount(found.labels[~found.crowd], minlength=5).tolist() == expected
        assert int(found.crowd.sum()) == crowd
    excerpt = read_coco(folder / 'original_schema_excerpt.json')
    assert len(excerpt) == 10
    assert excerpt.category_ids == (0, 1, 2, 3, 4)
    assert len(excerpt.labels) == 169
