"""Raw results that outlive the folder they were made in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip('mmengine')

from imbdense.benchmark.cells import restore_cells, write_cells
from imbdense.benchmark.runs import RESULT_FILE, Run
from imbdense.benchmark.suites import Method, Suite

SUITE = Suite('toy', 'base.py', (Method('plain'), Method('rare', {'lr': 2})), 'mIoU', ())


def runs_in(folder: Path, suite: Suite = SUITE) -> list[Run]:
    return [Run(suite, method, 0, folder / method.name) for method in suite.methods]


def finish(run: Run, value: float) -> None:
    run.folder.mkdir(parents=True)
    (run.folder / RESULT_FILE).write_text(json.dumps({'metrics': {'mIoU': value}}))


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    (tmp_path / 'base.py').write_text('lr = 1\n')
    return tmp_path


def test_finished_cells_come_back_elsewhere(configs: Path, tmp_path: Path) -> None:
    first = runs_in(tmp_path / 'first')
    finish(first[1], 0.5)
    write_cells(tmp_path / 'cells.json', first, configs)
    second = runs_in(tmp_path / 'second')
    assert restore_cells(tmp_path / 'cells.json', second, configs) == 1
    assert [run.result() for run in second] == [None, {'mIoU': 0.5}]


def test_a_cell_with_a_result_keeps_it(configs: Path, tmp_path: Path) -> None:
    first, second = runs_in(tmp_path / 'first'), runs_in(tmp_path / 'second')
    finish(first[0], 0.5)
    finish(second[0], 0.7)
    write_cells(tmp_path / 'cells.json', first, configs)
    assert restore_cells(tmp_path / 'cells.json', second, configs) == 0
    assert second[0].result() == {'mIoU': 0.7}


def test_changed_recipes_are_run_again(configs: Path, tmp_path: Path) -> None:
    first = runs_in(tmp_path / 'first')
    for run in first:
        finish(run, 0.5)
    write_cells(tmp_path / 'cells.json', first, configs)
    changed = replace(SUITE, methods=(SUITE.methods[0], Method('rare', {'lr': 3})))
    second = runs_in(tmp_path / 'second', changed)
    assert restore_cells(tmp_path / 'cells.json', second, configs) == 1 and second[1].result() is None
    (configs / 'base.py').write_text('lr = 5\n')
    assert restore_cells(tmp_path / 'cells.json', runs_in(tmp_path / 'third'), configs) == 0


def test_a_part_of_the_grid_keeps_the_rest_of_the_file(configs: Path, tmp_path: Path) -> None:
    first, path = runs_in(tmp_path / 'first'), tmp_path / 'cells.json'
    for run in first:
        finish(run, 0.5)
    write_cells(path, first, configs)
    part = runs_in(tmp_path / 'second')[1:]
    finish(part[0], 0.7)
    other = replace(SUITE, name='other')
    write_cells(path, [*part, *runs_in(tmp_path / 'third', other)], configs)
    kept = [(cell['suite'], cell['method'], cell['metrics']['mIoU']) for cell in json.loads(path.read_text())]
    assert kept == [('toy', 'plain', 0.5), ('toy', 'rare', 0.7)]


def test_a_file_that_is_none_is_named(configs: Path, tmp_path: Path) -> None:
    assert restore_cells(tmp_path / 'absent.json', runs_in(tmp_path), configs) == 0
    (tmp_path / 'cells.json').write_text('{"a": 1}')
    with pytest.raises(ValueError, match='holds no cells'):
        restore_cells(tmp_path / 'cells.json', runs_in(tmp_path), configs)


def test_cells_do_not_depend_on_where_the_weights_lie(
    configs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (configs / 'base.py').write_text(
        "import os\nweights = os.path.join(os.environ.get('IMBDENSE_WEIGHTS', 'data/weights'), 'a.pth')\n")
    first = runs_in(tmp_path / 'first')
    finish(first[0], 0.5)
    write_cells(tmp_path / 'cells.json', first, configs)
    monkeypatch.setenv('IMBDENSE_WEIGHTS', str(tmp_path / 'elsewhere'))
    assert restore_cells(tmp_path / 'cells.json', runs_in(tmp_path / 'second'), configs) == 1
