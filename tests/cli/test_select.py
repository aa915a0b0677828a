"""imbdense select run and apply from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('mmengine')

from imbdense.cli.main import main
from imbdense.core.selection import Choice, Selector, Task
from imbdense.registry import SELECTORS
from tests.data.object_pool.pools import names, write


class MostObjects(Selector):
    """The images with most objects first, for these tests."""

    def __init__(self, least: int = 1) -> None:
        self.least = least

    def choose(self, task: Task) -> Sequence[Choice]:
        """Images with at least ``least`` objects."""
        counts = np.diff(task.pool.starts)
        order = [int(image) for image in np.argsort(-counts, kind='stable') if not task.selected[image]]
        rows = [image for image in order if counts[image] >= self.least][: task.budget]
        return [Choice(image, float(counts[image]), 'most', int(task.pool.starts[image])) for image in rows]


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    SELECTORS.register_module(module=MostObjects, force=True)
    yield
    SELECTORS.module_dict.pop('MostObjects')


@pytest.fixture(scope='module')
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp('pools') / 'pool')


TYPE = ('--type', 'imbdense.MostObjects')


def select(pool: Path, out: Path, budget: float, *more: str, how: Sequence[str] = TYPE) -> int:
    return main(['select', 'run', *how, '--pool', str(pool), '--budget', str(budget), '--out', str(out), *more])


def chosen(path: Path) -> list[str]:
    return [record['image_id'] for record in json.loads(path.read_text())['records']]


def test_run_with_a_config_and_changed_options(pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / 'selector.py'
    config.write_text("selector = dict(type='imbdense.MostObjects', least=2)\n")
    assert select(pool, tmp_path / 'sel.json', 2, how=[str(config)]) == 0
    record = json.loads((tmp_path / 'sel.json').read_text())
    assert chosen(tmp_path / 'sel.json') == ['scene/004.png', 'scene/000.png']  # with 4 and 3 objects
    assert record['selector'] == {'type': 'MostObjects', 'least': 2} and record['records'][0]['gain'] == 4
    assert len(record['pool']['fingerprint']) == 32 and record['total_cost'] > 2
    assert '2 images chosen of 7' in capsys.readouterr().out
    assert select(pool, tmp_path / 'sel.json', 2, '--options', 'least=4', how=[str(config)]) == 0
    record = json.loads((tmp_path / 'sel.json').read_text())
    assert [entry['reason']['rule'] for entry in record['records']] == ['most', 'fill'] and record['notes']


def test_an_option_inside_an_option_needs_no_config(pool: Path, tmp_path: Path) -> None:
    out = tmp_path / 'sel.json'
    assert select(pool, out, 2, '--options', 'verify.k=3', 'score_thr=0.1', how=['--type', 'imbdense.OFDS']) == 0
    written = json.loads(out.read_text())['selector']
    assert written['verify']['k'] == 3 and written['verify']['type'] == 'KNNVerifier' and written['score_thr'] == 0.1


def test_what_is_labelled_is_not_chosen_again(pool: Path, tmp_path: Path) -> None:
    assert select(pool, tmp_path / 'first.json', 3) == 0
    assert select(pool, tmp_path / 'second.json', 3, '--selected', str(tmp_path / 'first.json')) == 0
    first, second = chosen(tmp_path / 'first.json'), chosen(tmp_path / 'second.json')
    assert not set(first) & set(second) and len(second) == 3
    assert json.loads((tmp_path / 'second.json').read_text())['selected'] == first
    assert select(pool, tmp_path / 'third.json', 1, '--selected', str(tmp_path / 'second.json')) == 0
    assert set(chosen(tmp_path / 'third.json')) == set(names(7)) - {*first, *second}


def test_a_budget_of_minutes_may_be_broken(pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, how = tmp_path / 'sel.json', ['--type', 'imbdense.OFDS', '--options', 'cost=objects', 'verify=None']
    assert select(pool, out, 3.5, how=how) == 0
    record = json.loads(out.read_text())
    assert record['budget'] == 3.5 and 0 < record['total_cost'] <= 3.5
    assert select(pool, out, 3.5) == 2 and '--budget is a number of images' in capsys.readouterr().err


def test_one_of_several_ranks_chooses(pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others neither choose nor write, so that nobody can find another list."""
    monkeypatch.setenv('WORLD_SIZE', '2')
    for rank, written in (('1', False), ('0', True)):
        monkeypatch.setenv('RANK', rank)
        assert select(pool, tmp_path / 'sel.json', 2) == 0
        assert (tmp_path / 'sel.json').exists() == written


@pytest.mark.parametrize(('budget', 'count'), [(0, 0), (7, 7), (100, 7)])
def test_budgets_at_the_ends(pool: Path, tmp_path: Path, budget: int, count: int) -> None:
    assert select(pool, tmp_path / 'sel.json', budget) == 0
    found = chosen(tmp_path / 'sel.json')
    assert len(found) == len(set(found)) == count and set(found) <= set(names(7))
    assert main(['select', 'apply', str(tmp_path / 'sel.json'), '--out', str(tmp_path / 'list.txt')]) == 0
    assert (tmp_path / 'list.txt').read_text().split() == found


def test_wrong_use_is_explained(pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'sel.json'

    def says(code: int, *messages: str) -> None:
        text = capsys.readouterr().err
        assert code == 2 and all(message in text for message in messages), text

    says(select(pool, out, -1), '--budget must be at least 0')
    says(select(pool, out, float('nan')), '--budget must be at least 0')
    says(select(pool, out, 1, how=[]), 'give a SELECTOR-CONFIG or --type')
    says(select(tmp_path / 'nowhere', out, 1), 'meta.json is missing', 'imbdense select pool')
    says(select(pool, out, 1, how=['--type', 'imbdense.MostObject']), 'Did you mean imbdense.MostObjects')
    says(select(pool, out, 1, '--options', 'lest=2'), "no argument 'lest'", 'least')
    (tmp_path / 'empty.py').write_text('a = 1\n')
    says(select(pool, out, 1, how=[str(tmp_path / 'empty.py')]), 'holds no selector = dict')
    (tmp_path / 'labelled.txt').write_text('scene/000.png\nelsewhere.png\n')
    says(select(pool, out, 1, '--selected', str(tmp_path / 'labelled.txt')), '1 of 2 selected images', 'elsewhere.png')
    says(main(['select', 'apply', str(out), '--out', str(tmp_path / 'x.txt')]), 'does not exist')
    assert not out.exists()
    says(main(['select', '--', 'pool']), "there is no '--'", 'Write one of these first: pool, run')
    says(main(['select', 'nothing']), "there is no 'nothing'")
    assert main(['select', '--help']) == 0
    assert 'imbdense select apply sel.json' in capsys.readouterr().out


def test_inputs_are_not_overwritten(pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The reasons of a batch are in its file alone."""
    sel, ann = tmp_path / 'sel.json', tmp_path / 'split.txt'
    assert select(pool, sel, 2) == 0
    assert main(['select', 'apply', str(sel), '--out', str(ann)]) == 0
    kept = sel.read_text(), ann.read_text()
    apply, report = ['select', 'apply', str(sel)], ['select', 'report', str(sel), '--pool', str(pool)]
    ways = ([*apply, '--out', str(sel)], [*apply, '--ann', str(ann), '--out', str(ann)], [*report, '--out', str(sel)],
            ['select', 'run', *TYPE, '--pool', str(pool), '--budget', '2', '--selected', str(sel), '--out', str(sel)])
    for way in ways:
        assert main(way) == 2 and 'is an input; choose another name' in capsys.readouterr().err
    assert (sel.read_text(), ann.read_text()) == kept


def test_budgets_and_seeds_as_people_write_them(
    pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    how = ['select', 'run', *TYPE, '--pool', str(pool), '--out', str(tmp_path / 'sel.json'), '--budget']
    assert main([*how, '2.0']) == 0 and len(chosen(tmp_path / 'sel.json')) == 2
    assert main([*how, '2.5']) == 2
    assert '--budget is a number of images for imbdense.MostObjects, but is 2.5. Minutes' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*how, '20%'])
    assert "must be a number of images or minutes, for example 200, but is '20%'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*how, '2', '--seed', '-1'])
    assert '--seed: must be a whole number from 0 to 4294967295, but is -1' in capsys.readouterr().err
    assert main([*how, '2', '--options', 'least']) == 2
    assert "--options takes key=value, but got 'least'" in capsys.readouterr().err


def test_more_than_there_is_is_told(pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert select(pool, tmp_path / 'sel.json', 7) == 0 and 'are wanted' not in capsys.readouterr().out
    (tmp_path / 'labelled.txt').write_text('scene/000.png\n')
    assert select(pool, tmp_path / 'sel.json', 9, '--selected', str(tmp_path / 'labelled.txt')) == 0
    assert 'note: 9 images are wanted, but only 6 of 7 are not labelled yet.' in capsys.readouterr().out


def test_an_option_of_kmeans_is_checked_before_the_long_work(
    pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    how = ['--type', 'imbdense.OFDS', '--options', 'kmeans.maxiter=3']
    assert select(pool, tmp_path / 'sel.json', 2, how=how) == 2
    said = capsys.readouterr().err
    assert "OFDS: an option of kmeans must be one of ['max_iter'" in said and "'maxiter'" in said


def test_numbers_that_json_does_not_know(pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert select(pool, tmp_path / 'sel.json', 2) == 0
    images = [{'id': number, 'file_name': name} for number, name in enumerate(names(7))]
    boxes = [{'id': 1, 'image_id': number, 'bbox': [1, 1, 2, 2], 'area': float('nan')} for number in range(7)]
    (tmp_path / 'a.json').write_text(json.dumps({'images': images, 'annotations': boxes, 'categories': []}))
    given, out = ['select', 'apply', str(tmp_path / 'sel.json'), '--ann', str(tmp_path / 'a.json')], tmp_path / 'b.json'
    assert main([*given, '--out', str(out)]) == 2
    assert 'a.json holds NaN or Infinity' in capsys.readouterr().err and not out.exists()
