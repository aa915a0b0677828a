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


@pytest.mark.slow
def test_weights_bring_lights_signs_and_fences_back(tmp_path: Path) -> None:
    """Six scenes of 80 m, four to learn from; 80 steps of one scene on voxels of .8 m."""
    root = tmp_path / 'clouds'
    made = ['clouds', '--preset', 'small', '--num', '6', '--val', '2', '--seed', '0', '--out', str(root)]
    assert run_verb('generate', made) == 0
    plain, weighted = (train(root, tmp_path / name, name) for name in ('ce', 'weighted'))
    print(json.dumps({'ce': plain, 'weighted': weighted}, indent=1))
    for name in ('light/sign', 'fence'):
        assert weighted[f'recall/{name}'] >= plain[f'recall/{name}'] + 0.25
    assert weighted['recall/light/sign'] >= 0.4 and weighted['recall/fence'] >= 0.2
    assert weighted['mIoU'] >= max(plain['mIoU'] + 0.10, 0.70)
    assert weighted['aAcc'] >= max(plain['aAcc'] - 0.02, 0.93)
