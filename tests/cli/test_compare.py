"""The verb compare: paired differences of two evaluations, train date x test date, and what it refuses."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from imbdense.cli.main import main
from tests.helpers.change_samples import change_samples, evaluate

CONFIG = {'type': 'imbdense.SCDMetric', 'protocol': ['sem', 'from_to'], 'ci': {'n_boot': 20}}


def better(samples: list[Any]) -> list[Any]:
    """A few wrong change pixels mended on every image."""
    mended = copy.deepcopy(samples)
    for sample in mended:
        part = sample['pred_sem_seg']['data'][:, :4]
        part.copy_(sample['gt_sem_seg']['data'][:, :4])
    return mended


def work_dir(root: Path, name: str, samples: list[Any], config: dict[str, Any] = CONFIG) -> Path:
    """What a test with ReportHook leaves."""
    _, metric = evaluate(config, samples)
    folder = root / name / 'imbdense'
    folder.mkdir(parents=True)
    record = {'format': 1, 'split': 'test', 'step': 8, 'artifact': metric.artifact}
    (folder / f'test_8_{metric.artifact["kind"]}.json').write_text(json.dumps(record))
    return root / name


@pytest.fixture
def dirs(tmp_path: Path) -> tuple[Path, Path]:
    samples = change_samples(25)
    return work_dir(tmp_path, 'plain', samples), work_dir(tmp_path, 'ours', better(samples))


def test_difference_with_interval(dirs: tuple[Path, Path], tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / 'out.json'
    assert main(['compare', *map(str, dirs), '--n-boot', '200', '--out', str(out)]) == 0
    text = capsys.readouterr().out
    assert 'scd/sem/SeK' in text and '25 blocks, 200 resamples, seed 0' in text and '*' in text
    record = json.loads(out.read_text())
    rows = {row['score']: row for row in record['change']}
    row = rows['scd/sem/SeK']
    assert row['difference'] == pytest.approx(row['other'] - row['baseline'])
    assert 0 < row['low'] < row['difference'] < row['high']
    files = [str(next((path / 'imbdense').glob('test_8_change.json'))) for path in dirs]
    assert main(['compare', *files, '--n-boot', '200', '--out', str(tmp_path / 'again.json')]) == 0
    assert json.loads((tmp_path / 'again.json').read_text())['change'] == record['change']


def test_a_model_does_not_differ_from_itself(dirs: tuple[Path, Path], tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / 'out.json'
    assert main(['compare', str(dirs[0]), str(dirs[0]), '--out', str(out)]) == 0
    assert '*' not in capsys.readouterr().out
    assert all(row['difference'] == row['low'] == row['high'] == 0 for row in json.loads(out.read_text())['change'])


def test_what_it_refuses(dirs: tuple[Path, Path], tmp_path: Path, capsys: Any) -> None:
    other = work_dir(tmp_path, 'other', change_samples(5))
    assert main(['compare', str(dirs[0]), str(other)]) == 2
    assert 'different blocks (25 and 5' in capsys.readouterr().err
    strict = work_dir(tmp_path, 'strict', change_samples(25), {**CONFIG, 'strict_reference': True})
    assert main(['compare', str(dirs[0]), str(strict)]) == 2
    assert 'different rules' in capsys.readouterr().err
    bare = work_dir(tmp_path, 'bare', change_samples(5), {**CONFIG, 'ci': None})
    assert main(['compare', str(dirs[0]), str(bare)]) == 2
    assert 'ci=dict(n_boot=1000)' in capsys.readouterr().err
    assert main(['compare', str(dirs[0]), str(tmp_path / 'nowhere.json')]) == 2
    assert 'cannot be read' in capsys.readouterr().err
    (tmp_path / 'empty').mkdir()
    assert main(['compare', str(dirs[0]), str(tmp_path / 'empty')]) == 2
    assert main(['compare', *map(str, dirs), '--alpha', '2']) == 2
    assert 'alpha' in capsys.readouterr().err


def test_cross_temporal(tmp_path: Path, capsys: Any) -> None:
    def confusion(name: str, table: list[list[int]]) -> Path:
        path = tmp_path / f'{name}.json'
        path.write_text(json.dumps({'artifact': {'kind': 'confusion', 'table': table}}))
        return path

    home, away = confusion('home', [[8, 2], [0, 10]]), confusion('away', [[5, 5], [5, 5]])
    late, out = confusion('late', [[9, 1], [1, 9]]), tmp_path / 'out.json'
    pairs = [f'2013:2013={home}', f'2013:2020={away}', f'2020:2020={late}']
    assert main(['compare', 'cross-temporal', *pairs, '--out', str(out)]) == 0
    assert '50.0 (-40.0)' in capsys.readouterr().out
    record = json.loads(out.read_text())
    assert record['scores']['OA'] == [[0.9, 0.5], [None, 0.9]] and record['drops']['OA'][0][1] == pytest.approx(0.4)
    assert main(['compare', 'cross-temporal', '2013=x.json']) == 2
    assert 'TRAIN:TEST=PATH' in capsys.readouterr().err
    folder = work_dir(tmp_path, 'change', change_samples(2))
    assert main(['compare', 'cross-temporal', f'a:b={folder}']) == 2
    assert 'no confusion table' in capsys.readouterr().err
