"""What counted weights do for rare classes of generated clouds, in the setting of the specification."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip('mmcv')

from imbdense.benchmark.runs import validation_scores
from imbdense.cli.main import run_verb
from imbdense.utils.paths import configs_dir


def train(root: Path, folder: Path, method: str) -> dict[str, float]:
    """Scores of the last validation of ``configs/point_cloud/sparse_unet_scenes_<method>.py``."""
    data = [f'{loader}_dataloader.dataset.data_root={root}' for loader in ('train', 'val', 'test')]
    config = configs_dir() / 'point_cloud' / f'sparse_unet_scenes_{method}.py'
    assert run_verb('train', [str(config), '--work-dir', str(folder), '--seed', '0', '--cfg-options', *data]) == 0
    return validation_scores(folder)


@pytest.fixture(scope='module')
def scores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    """Six scenes of 80 m, four to learn from; 80 steps of one scene on voxels of .8 m, plain and weighted."""
    folder = tmp_path_factory.mktemp('scenes')
    root = folder / 'clouds'
    made = ['clouds', '--preset', 'small', '--num', '6', '--val', '2', '--seed', '0', '--out', str(root)]
    assert run_verb('generate', made) == 0
    found = {name: train(root, folder / name, name) for name in ('ce', 'weighted')}
    print(json.dumps(found, indent=1))
    return found


@pytest.mark.slow
def test_weights_bring_lights_signs_and_fences_back(scores: dict[str, dict[str, float]]) -> None:
    plain, weighted = scores['ce'], scores['weighted']
    for name in ('light/sign', 'fence'):
        assert weighted[f'recall/{name}'] >= plain[f'recall/{name}'] + 0.25
    assert weighted['recall/light/sign'] >= 0.4 and weighted['recall/fence'] >= 0.2
    assert weighted['mIoU'] >= plain['mIoU'] + 0.10
    assert weighted['aAcc'] >= plain['aAcc'] - 0.02


@pytest.mark.slow
@pytest.mark.xfail(strict=True, reason='lights are .3 % here, 1 % in the prototype: docs/methods/point_segmentor.md')
def test_absolute_figures_of_the_prototype(scores: dict[str, dict[str, float]]) -> None:
    assert scores['weighted']['mIoU'] >= 0.70 and scores['weighted']['aAcc'] >= 0.93
