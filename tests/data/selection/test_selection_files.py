"""selection.json, names in all their spellings, subsets of annotations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imbdense.core.selection import Choice, ObjectPool, Selection
from imbdense.data.selection import (
    SelectionError,
    apply_selection,
    match_names,
    read_names,
    read_selection,
    selection_record,
)


def pool() -> ObjectPool:
    return ObjectPool(('car', 'mast'), ('a/0.png', 'a/1.png', 'b/0.png'), np.array([0, 2]), np.array([1, 0], np.int32),
                      np.ones(2, np.float32), np.zeros((2, 4), np.float32), np.ones(2, np.float32),
                      np.eye(2, dtype=np.float32))  # fmt: skip


def write(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def chosen(folder: Path, names: list[str]) -> Path:
    records = [{'image_id': name, 'rank': rank, 'gain': 0, 'reason': {}} for rank, name in enumerate(names)]
    return write(folder / 'sel.json', {'format': 1, 'kind': 'selection', 'records': records})


def test_record_of_a_selection(tmp_path: Path) -> None:
    choices = [Choice(2, 1.5, 'farthest', 1, 0, 4), Choice(0, float('nan'), 'fill')]
    report = {'counts': np.array([1, 2]), 'share': np.float32(0.5), 'by': {1: (np.int64(3), float('inf'))}}
    ids, selector = ['b/0.png', 'a/0.png'], {'type': 'X', 'k': np.int64(3)}
    selection = Selection(choices, ids, 2.0, 7, selector, 'abc', report, ['n'])
    record = selection_record(selection, pool(), budget=5, selected=['a/1.png'], pool_path='p')
    path = write(tmp_path / 'sel.json', json.dumps(record, allow_nan=False))
    found = read_selection(path)
    assert found['records'] == [
        {'image_id': 'b/0.png', 'rank': 0, 'gain': 1.5,
         'reason': {'class': 'car', 'cluster': 4, 'object': 1, 'rule': 'farthest'}},
        {'image_id': 'a/0.png', 'rank': 1, 'gain': None,
         'reason': {'class': None, 'cluster': None, 'object': None, 'rule': 'fill'}},
    ]  # fmt: skip
    assert found['report'] == {'counts': [1, 2], 'share': 0.5, 'by': {'1': [3, None]}}
    assert found['selector'] == {'type': 'X', 'k': 3} and found['seed'] == 7 and found['budget'] == 5
    assert found['pool'] == {'path': 'p', 'images': 3, 'fingerprint': 'abc'} and found['total_cost'] == 2.0
    assert found['selected'] == ['a/1.png'] and found['notes'] == ['n']
    assert read_names(path) == ['a/1.png', 'b/0.png', 'a/0.png'], 'a third batch follows from the file of the second'


@pytest.mark.parametrize(('content', 'message'), [
    (None, 'does not exist'), ('{"format": 1, "ki', 'cannot be read'), ('[]', 'no selection of format 1'),
    ('{"format": 2, "kind": "selection", "records": []}', 'no selection of format 1'),
])  # fmt: skip
def test_files_that_are_no_selection(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        write(tmp_path / 'sel.json', content)
    with pytest.raises(SelectionError, match=message):
        read_selection(tmp_path / 'sel.json')


@pytest.mark.parametrize(('wanted', 'available', 'places'), [
    (['b.png', 'a.png'], ['a.png', 'b.png'], [1, 0]),
    (['b', 'a'], ['a.png', 'b.jpg'], [1, 0]),
    (['a.png'], ['a', 'b'], [0]),
    (['t/2', 't/1'], ['t/1_leftImg8bit.png', 't/2_leftImg8bit.png', 't/2_other.png'], [1, 0]),
    (['t/1_leftImg8bit.png'], ['t/1', 't/2'], [0]),
    ([], ['a'], []),
])  # fmt: skip
def test_names_match(wanted: list[str], available: list[str], places: list[int]) -> None:
    assert match_names(wanted, available, what='images', where='x') == places


@pytest.mark.parametrize(('wanted', 'available', 'lost'), [
    (['a.png', 'z.png'], ['a.png', 'b.png'], r'1 of 2 images are not in the file, for example \[.z.png.\]'),
    (['a'], ['a.png', 'a.jpg'], r"images: \['a'\] each match several names in the file"),
    (['a'], [], '1 of 1 images'),
])  # fmt: skip
def test_names_that_do_not_match(wanted: list[str], available: list[str], lost: str) -> None:
    with pytest.raises(SelectionError, match=lost):
        match_names(wanted, available, what='images', where='the file')


def test_name_lists(tmp_path: Path) -> None:
    assert read_names(write(tmp_path / 'a.txt', '# comment\nx\n\ny 1\n')) == ['x', 'y']
    assert read_names(write(tmp_path / 'a.json', ['x', 'y'])) == ['x', 'y']
    coco = {'images': [{'id': 1, 'file_name': 'x.png'}], 'categories': [{'id': 1, 'name': 'a'}], 'annotations': []}
    assert read_names(write(tmp_path / 'c.json', coco)) == ['x.png']
    with pytest.raises(SelectionError, match='does not exist'):
        read_names(tmp_path / 'none.json')


def coco(folder: Path) -> Path:
    boxes = [{'id': number, 'image_id': number % 3, 'category_id': 1, 'bbox': [0, 0, 1, 1]} for number in range(7)]
    return write(folder / 'ann.json', {
        'info': {'year': 2024}, 'categories': [{'id': 1, 'name': 'car'}], 'annotations': boxes,
        'images': [{'id': number, 'file_name': f'{number}.png', 'width': 4, 'height': 4} for number in range(3)],
    })  # fmt: skip


def test_coco_subset(tmp_path: Path) -> None:
    assert apply_selection(chosen(tmp_path, ['2.png', '0.png']), coco(tmp_path), tmp_path / 'out.json') == 2
    record = json.loads((tmp_path / 'out.json').read_text())
    assert [image['id'] for image in record['images']] == [0, 2] and record['info'] == {'year': 2024}
    assert [box['id'] for box in record['annotations']] == [0, 2, 3, 5, 6]


def test_split_file_and_plain_list(tmp_path: Path) -> None:
    split = write(tmp_path / 'train.txt', 'town/0\ntown/1\ntown/2\n')
    selection = chosen(tmp_path, ['town/2_img.png', 'town/0_img.png'])
    assert apply_selection(selection, split, tmp_path / 'out.txt') == 2
    assert (tmp_path / 'out.txt').read_text() == 'town/0\ntown/2\n'
    apply_selection(selection, None, tmp_path / 'list.txt')
    assert (tmp_path / 'list.txt').read_text() == 'town/2_img.png\ntown/0_img.png\n'


def test_an_empty_selection(tmp_path: Path) -> None:
    assert apply_selection(chosen(tmp_path, []), coco(tmp_path), tmp_path / 'out.json') == 0
    assert json.loads((tmp_path / 'out.json').read_text())['images'] == []


def test_nothing_is_written_when_an_image_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SelectionError, match=r'1 of 2 chosen images are not in .*ann\.json'):
        apply_selection(chosen(tmp_path, ['2.png', '9.png']), coco(tmp_path), tmp_path / 'out.json')
    write(tmp_path / 'bad.json', {'images': [{}], 'annotations': []})
    with pytest.raises(SelectionError, match=r'bad\.json is no COCO file'):
        apply_selection(chosen(tmp_path, ['2.png']), tmp_path / 'bad.json', tmp_path / 'out.json')
    assert not (tmp_path / 'out.json').exists()
