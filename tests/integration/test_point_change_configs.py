"""Configs of change between clouds learn from tiny pairs through their real pipeline; the CLI runs the result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config

from imbdense.cli.main import main
from imbdense.data.points import PointCloud, read_points, write_points
from imbdense.utils.paths import configs_dir
from tests.helpers.point_pairs import write_town

FAST = 'siamese_unet_cloud_pairs_ef'
CONFIGS = [
    pytest.param(path, id=path.stem, marks=[] if path.stem == FAST else [pytest.mark.slow])
    for path in sorted((configs_dir() / 'point_cloud').glob('siamese_*.py'))
]


@pytest.fixture(scope='module')
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scenes as ``imbdense generate cloud-pairs`` leaves them."""
    root = tmp_path_factory.mktemp('town')
    write_town(root / 'train', (0, 1), side=32.0, density=2.0)
    write_town(root / 'val', (2,), side=32.0, density=2.0)
    return root


def small(path: Path, town: Path) -> Config:
    """Two iterations on tiny pairs; the network of a GPU made narrow."""
    config = Config.fromfile(str(path))
    for name in ('train', 'val', 'test'):
        loader: Any = config[f'{name}_dataloader']
        loader.num_workers, loader.persistent_workers, loader.batch_size = 0, False, min(loader.batch_size, 2)
        split = 'train' if name == 'train' else 'val'
        loader.dataset = {**loader.dataset, 'type': 'imbdense.PointPairDataset', 'data_root': str(town), 'split': split}
        for step in loader.dataset['pipeline']:
            if 'radius' in step:
                step.update(radius=20.0)
                step.pop('step', None)
    config.train_cfg = {'type': 'IterBasedTrainLoop', 'max_iters': 2, 'val_interval': 2}
    if config.model.get('backbone', {}).get('type') == 'imbdense.KPConvLite':
        config.model.backbone.update(base_channels=8, kernel_points=5)
    return config


@pytest.mark.parametrize('path', CONFIGS)
def test_config_trains_and_predicts(path: Path, town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small(path, town).dump(str(tmp_path / 'small.py'))
    run = ['train', str(tmp_path / 'small.py'), '--work-dir', str(tmp_path / 'run'), '--seed', '0']
    assert main(run) == 0
    checkpoint = tmp_path / 'run/iter_2.pth'
    assert checkpoint.is_file()
    if path.stem != FAST:
        return
    pair = [town / 'val/scene_2' / f'epoch{number}.npz' for number in (1, 2)]
    out = tmp_path / 'change.npz'
    predict = ['predict', 'change3d', str(tmp_path / 'small.py'), str(checkpoint), *map(str, pair), '--device', 'cpu']
    assert main([*predict, '--out', str(out)]) == 0
    found, second = read_points(out), read_points(pair[1])
    assert len(found) == len(second) and found.attributes['change'].max() < 7
    np.testing.assert_array_equal(found.xyz, second.xyz)
    assert 'missing vegetation' in capsys.readouterr().out
    write_points(tmp_path / 'far.npz', PointCloud(np.zeros((4, 3))))
    assert main([*predict[:-4], str(tmp_path / 'far.npz'), str(pair[1]), '--out', str(out)]) == 2
    assert 'do not overlap' in capsys.readouterr().err


def test_published_schedule_and_widths() -> None:
    """Authors: a tenth of the learning rate after 200 epochs of 600 iterations; encoder widths 64 (2, 4, 8, 16, 32)."""
    config = Config.fromfile(str(configs_dir() / 'point_cloud' / 'siamese_kpconv_urb3dcd.py'))
    (schedule,) = config.param_scheduler
    assert schedule.type == 'ExponentialLR' and not schedule.by_epoch
    assert schedule.gamma ** (200 * 600) == pytest.approx(0.1, rel=0.02)
    backbone = config.model.backbone
    assert [backbone.base_channels * 2**level for level in range(backbone.depth + 1)] == [128, 256, 512, 1024, 2048]


def test_rules_need_no_checkpoint(town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model without weights is tested and predicts as it is; one with weights asks for its checkpoint."""
    folder = configs_dir() / 'point_cloud'
    small(folder / 'm3c2_cloud_pairs.py', town).dump(str(tmp_path / 'rules.py'))
    scores = tmp_path / 'scores.json'
    run = ['test', str(tmp_path / 'rules.py'), '--work-dir', str(tmp_path / 'run'), '--out', str(scores)]
    assert main(run) == 0
    record = json.loads(scores.read_text())
    assert record['checkpoint'] is None and record['scores']['change_F1'] > 0.5
    pair = [str(town / 'val/scene_2' / f'epoch{number}.npz') for number in (1, 2)]
    out = tmp_path / 'change.npz'
    assert main(['predict', 'change3d', str(tmp_path / 'rules.py'), '--device', 'cpu', *pair, '--out', str(out)]) == 0
    assert len(read_points(out)) == len(read_points(pair[1]))
    assert 'demolition' in capsys.readouterr().out
    small(folder / f'{FAST}.py', town).dump(str(tmp_path / 'network.py'))
    capsys.readouterr()
    assert main(['predict', 'change3d', str(tmp_path / 'network.py'), *pair, '--out', str(out)]) == 2
    assert 'SiamesePointChange has weights: name the checkpoint' in capsys.readouterr().err
