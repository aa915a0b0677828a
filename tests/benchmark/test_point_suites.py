"""The suite of transfer: what its rows learn from, and that everything else is equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('mmcv')

from mmengine.config import Config

from imbdense.benchmark.point_suites import SUITES
from imbdense.benchmark.runs import plan, write_config
from imbdense.benchmark.suite_grid import prepare_data
from imbdense.cli.main import UserError
from imbdense.utils.paths import configs_dir

SUITE = SUITES['ign_transfer']


@pytest.fixture(scope='module')
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    runs = plan([SUITE], [0], tmp_path_factory.mktemp('grid'))
    return {run.method.name: Config.fromfile(str(write_config(run, configs_dir()))) for run in runs}


def test_rows_learn_from_what_their_names_say(rows: dict[str, Any]) -> None:
    def sources(name: str) -> list[tuple[str, int, Any]]:
        listed = rows[name].train_dataloader.dataset.datasets
        parts = [(part.get('dataset', part), part.get('times', 1)) for part in listed]
        return [(part.data_root, times, part.get('indices')) for part, times in parts]

    real, made = 'data/ign_lidar_hd', 'data/ign_like'
    assert sources('real') == [(real, 1, None)] and sources('synthetic') == [(made, 1, None)]
    assert sources('both') == [(real, 2, None), (made, 1, None)]
    assert sources('real_one_tile') == [(real, 1, [1])]
    assert sources('both_one_tile') == [(real, 8, [1]), (made, 1, None)]


def test_all_else_is_equal(rows: dict[str, Any]) -> None:
    first = rows['real']
    for name, config in rows.items():
        for part in ('model', 'val_dataloader', 'val_evaluator', 'train_cfg', 'optim_wrapper', 'param_scheduler'):
            assert config[part] == first[part], (name, part)
        assert config.val_dataloader.dataset.data_root == 'data/ign_lidar_hd'


def test_data_are_made_where_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'data/ign_lidar_hd').mkdir(parents=True)
    asked: list[tuple[str, list[str]]] = []
    code = 0

    def verb(name: str, arguments: list[str]) -> int:
        asked.append((name, arguments))
        return code

    monkeypatch.setattr('imbdense.cli.main.run_verb', verb)
    prepare_data(SUITE, 'shared')
    assert asked == [('generate', ['clouds', '--preset', 'ign-lidar', '--out', 'data/ign_like'])]
    (tmp_path / 'data/ign_lidar_hd').rmdir()
    code = 1
    with pytest.raises(UserError, match='ign_transfer'):
        prepare_data(SUITE, 'shared')
    assert asked[-1] == ('prepare', ['ign_lidar_hd', 'shared/ign_lidar_hd', '--out', 'data/ign_lidar_hd'])
