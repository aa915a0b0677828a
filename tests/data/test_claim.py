"""A folder of generated data belongs to one request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imbdense.data.claim import OtherDataError, claimed
from imbdense.utils.files import atomic_write_json

ASKED = {'config': {'seed': 0, 'mix': {'ratio': 10.0}, 'formats': ('npz',)}}
OTHER = {'config': {'seed': 1, 'mix': {'ratio': 10.0}, 'formats': ('npz',)}}


def make(root: Path, asked: dict[str, object], stop: bool = False) -> None:
    """A run that finishes a part, then the whole, unless it is stopped between."""
    with claimed(root, asked, 'parts/*.txt'):
        (root / 'parts').mkdir(exist_ok=True)
        (root / 'parts' / 'a.txt').write_text('a')
        if stop:
            raise KeyboardInterrupt
        atomic_write_json(root / 'dataset.json', {**asked, 'more': 1})


def test_the_same_goes_on_and_something_else_is_refused_and_named(tmp_path: Path) -> None:
    make(tmp_path, ASKED)
    make(tmp_path, ASKED)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['dataset.json', 'parts']
    with pytest.raises(OtherDataError, match=r'config.seed is 0 there, but 1 is asked. Choose another folder'):
        make(tmp_path, OTHER)
    assert json.loads((tmp_path / 'dataset.json').read_text())['config']['seed'] == 0


def test_what_a_stopped_run_has_finished_counts_as_well(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, ASKED, stop=True)
    with pytest.raises(OtherDataError, match=r'config\.seed is 0 there'):
        make(tmp_path, OTHER)
    make(tmp_path, ASKED)
    assert not (tmp_path / 'dataset.json.part').exists()


def test_a_run_that_finished_nothing_binds_nobody(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='dial'), claimed(tmp_path, ASKED, 'parts/*.txt'):
        raise ValueError('this dial cannot be reached')
    make(tmp_path, OTHER)


@pytest.mark.parametrize('text', ['{"classes": ["a"]}', '[1]', 'no json', '{"config": {"scene": {"seed": 0}}}',
                                  '{"config": 3}'])
def test_records_of_something_else_are_not_overwritten(tmp_path: Path, text: str) -> None:
    (tmp_path / 'dataset.json').write_text(text)
    with pytest.raises(OtherDataError, match=r'another kind: dataset\.json is no record of these'):
        make(tmp_path, ASKED)
    assert (tmp_path / 'dataset.json').read_text() == text and not (tmp_path / 'parts').exists()


def test_files_that_no_run_made_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / 'splits').mkdir()
    with pytest.raises(OtherDataError, match=r'holds nothing of this kind, but splits\. Choose another folder'):
        make(tmp_path, ASKED)
    assert [path.name for path in tmp_path.iterdir()] == ['splits']


def test_many_differences_are_counted_not_listed(tmp_path: Path) -> None:
    numbers = {f'dial_{number}': number for number in range(9)}
    make(tmp_path, {'config': numbers})
    with pytest.raises(OtherDataError, match=r'dial_3 is 3 there, but 4 is asked, and 5 more\.'):
        make(tmp_path, {'config': {name: value + 1 for name, value in numbers.items()}})
