"""The grid of change detectors: its lines fit its configs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('mmseg')

from imbdense.benchmark.change import _runs
from imbdense.benchmark.change_suites import SOURCES, change_suite
from imbdense.benchmark.runs import Evaluation, write_config
from imbdense.cli.main import run_verb
from imbdense.utils.paths import configs_dir
from tests.data.prepare.change_layouts import make_landsat_taizhou_cd


def planned(name: str, folder: Path) -> list[Any]:
    arguments = argparse.Namespace(seeds=[0], work_dir=folder)
    return _runs(arguments, SOURCES[name], change_suite(SOURCES[name]))


@pytest.mark.parametrize('name', list(SOURCES))
def test_lines_fit(name: str, tmp_path: Path) -> None:
    from mmengine.config import Config

    for run in planned(name, tmp_path):
        config = Config.fromfile(str(write_config(run, configs_dir())))
        data = config.test_dataloader if isinstance(run, Evaluation) else config.train_dataloader
        assert data.dataset.data_root == f'data/{name}'


def test_rows_of_six_bands_take_six_bands(tmp_path: Path) -> None:
    from mmengine.config import Config
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import DefaultScope
    from mmseg.registry import DATASETS, MODELS

    make_landsat_taizhou_cd(tmp_path / 'source')
    data = str(tmp_path / 'data')
    assert run_verb('prepare', ['landsat_taizhou_cd', str(tmp_path / 'source'), '--out', data]) == 0
    for run in planned('landsat_taizhou_cd', tmp_path / 'runs'):
        config = Config.fromfile(str(write_config(run, configs_dir())))
        with DefaultScope.overwrite_default_scope('mmseg'):
            dataset = DATASETS.build({**config.train_dataloader.dataset, 'data_root': data})
            model = MODELS.build(config.model)
            batch = model.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), True)
            features = model.extract_feat(batch['inputs'])
        assert batch['inputs'].shape == (2, 12, 64, 64) and len(features) > 1


def test_post_classification_is_tested_and_not_trained(tmp_path: Path) -> None:
    runs = planned('pairs_5', tmp_path)
    tests = [run for run in runs if isinstance(run, Evaluation)]
    assert [run.method.name for run in tests] == ['post_argmax', 'post_estimated', 'post_counted']
    assert {run.trained for run in tests} == {run for run in runs if run.suite.name == 'pairs_5_land_cover'}
    assert not any(isinstance(run, Evaluation) for run in planned('landsat_taizhou_cd', tmp_path))


def test_the_shares_of_change_are_what_the_names_say() -> None:
    for percent in (1, 5, 20):
        assert f'{percent / 100}' in SOURCES[f'pairs_{percent}'].prepare
