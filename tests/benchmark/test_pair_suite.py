"""The suite of change between clouds: its lines fit the configs, and what has nothing to learn is tested only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mmengine.config import Config

from imbdense.benchmark.point_suites import SUITES
from imbdense.benchmark.runs import Measurement, plan, write_config
from imbdense.utils.paths import configs_dir

RUNS = {run.method.name: run for run in plan([SUITES['cloud_pairs']], [0], Path('work'))}


@pytest.mark.parametrize('name', RUNS)
def test_rows_share_data_and_schedule_and_differ_where_they_say(name: str, tmp_path: Path) -> None:
    run = plan([SUITES['cloud_pairs']], [0], tmp_path)[list(RUNS).index(name)]
    config = Config.fromfile(str(write_config(run, configs_dir())))
    train, test = config.train_dataloader, config.test_dataloader
    assert train.dataset.data_root == test.dataset.data_root == 'data/cloud_pairs'
    assert test.dataset.pipeline[0] == config.val_dataloader.dataset.pipeline[0]
    if name == 'm3c2_rules':
        assert config.model.type == 'imbdense.M3C2ChangeClassifier'
        return
    assert config.train_cfg.max_iters == config.param_scheduler[1].end == 600
    assert config.model.fusion == ('none' if name == 'epoch2' else 'ef')
    crop, packs = train.dataset.pipeline[0], (train.dataset.pipeline[-1], test.dataset.pipeline[-1])
    assert crop.center == ('uniform' if name == 'ef_uniform' else 'rare') and crop.radius == 12.0
    assert all(len(pack.get('features', ('ones',))) == config.model.backbone.in_channels for pack in packs)


def test_rules_are_tested_and_not_trained(tmp_path: Path) -> None:
    (run,) = (run for run in plan([SUITES['cloud_pairs']], [0], tmp_path) if isinstance(run, Measurement))
    assert run.method.name == 'm3c2_rules' and run.scores() == {}
    verb, _, option, *_ = run.command(tmp_path / 'config.py')
    assert (verb, option) == ('test', '--work-dir')  # and no checkpoint between
    run.folder.mkdir(parents=True)
    (run.folder / 'scores.json').write_text(json.dumps({'checkpoint': None, 'scores': {'mIoU_change': 0.5, 'x': None}}))
    assert run.scores() == {'mIoU_change': 0.5}
