"""``imbdense pointdc``: stages in order, what is finished stays, what is missing is said."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('mmengine')

from mmengine.config import Config

from imbdense.cli._pointdc import PointDCStages, table
from imbdense.cli.main import UserError, run_verb
from tests.helpers.tiny_clouds import tiny_config, write_clouds


def project(folder: Path) -> Config:
    """Clouds with one view from above, and a config of all stages."""
    from PIL import Image

    clouds = write_clouds(folder)
    for file in (folder / 'volumes').iterdir():
        file.unlink()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)).save(clouds / 'a.png')
    pose = np.array([[1.0, 0, 0, 8], [0, -1, 0, 8], [0, 0, -1, 40], [0, 0, 0, 1]])
    camera = {'file': 'a.png', 'K': [[150, 0, 32], [0, 150, 32], [0, 0, 1]], 'c2w': pose.tolist(), 'width': 64,
              'height': 64}  # fmt: skip
    (clouds / 'cameras.json').write_text(json.dumps({'images': [camera]}))
    config = tiny_config(folder, folder / 'unused', 'distill', 1)
    config['custom_hooks'] = tiny_config(folder, folder / 'unused', 'warmup', 1)['custom_hooks']
    config['model']['distill']['dims'] = 16
    config.pop('work_dir')
    stages = {'iterate': {'train_cfg.val_interval': 1}, 'warmup': {'train_cfg.val_interval': 1}}
    return Config({**config, 'feature_volume': {'extractor': 'rgb+lbp', 'border': 1}, 'stages': stages})


def leave_a_checkpoint(arguments: Sequence[str]) -> int:
    """What `imbdense train` leaves, without training; ``test_super_voxel_cluster_hook.py`` trains."""
    config = Config.fromfile(arguments[1])
    assert config.model.stage == Path(arguments[1]).parent.name.split('-')[0]
    assert (config.val_cfg is None) == (config.model.stage == 'distill') == (not config.custom_hooks)
    assert config.load_from is None or Path(config.load_from).is_file()
    folder = Path(arguments[3])
    (folder / 'now' / 'vis_data').mkdir(parents=True)
    (folder / 'now' / 'vis_data' / 'scalars.json').write_text(json.dumps({'mIoU': 0.5, 'step': 1}))
    torch.save({'meta': {}, 'state_dict': {}}, folder / 'epoch_1.pth')
    (folder / 'last_checkpoint').write_text(str(folder / 'epoch_1.pth'))
    return 0


def train(arguments: Sequence[str]) -> int:
    """The verb itself."""
    return run_verb(arguments[0], list(arguments[1:]))


@pytest.mark.parametrize('verb', [leave_a_checkpoint, pytest.param(train, marks=pytest.mark.slow)])
def test_stages_follow_each_other_and_are_not_made_twice(tmp_path: Path, verb: Callable[[Sequence[str]], int]) -> None:
    config, ran = project(tmp_path), []

    def execute(arguments: Sequence[str]) -> int:
        ran.append(Path(arguments[1]).parent.name.split('-')[0])
        return verb(arguments)

    stages = PointDCStages(config, tmp_path / 'work', 0, execute)
    with pytest.raises(UserError, match='starts from distill, which is not finished'):
        stages.run('warmup')
    for name in stages.names:
        stages.run(name)
    assert ran == ['distill', 'warmup', 'iterate']
    assert len(list((tmp_path / 'volumes').glob('scene_*.npz'))) == 3
    assert (tmp_path / 'work' / 'cmd.pth').is_file() and (tmp_path / 'work' / 'svc.pth').is_file()
    if verb is train:
        assert list((stages.place('iterate') / 'pseudo' / 'round_00').glob('*.npy'))
    text = table(json.loads((tmp_path / 'work' / 'scores.json').read_text()))
    assert 'warmup' in text and 'iterate' in text
    again = PointDCStages(config, tmp_path / 'work', 0, execute)
    for name in again.names:
        again.run(name)
    assert len(ran) == 3
    changed = PointDCStages(config, tmp_path / 'work', 1, execute)
    assert changed.place('iterate') != again.place('iterate')


def test_wrong_configs_are_refused(tmp_path: Path) -> None:
    config = project(tmp_path)
    without = Config({key: value for key, value in config.items() if key != 'feature_volume'})
    with pytest.raises(UserError, match='no feature_volume'):
        PointDCStages(without, tmp_path, 0, lambda arguments: 0)
    odd = Config({**config, 'stages': {'distil': {}}})
    with pytest.raises(UserError, match='distil'):
        PointDCStages(odd, tmp_path, 0, lambda arguments: 0)
    plain = Config({**config, 'model': {**config.model, 'distill': None}})
    assert PointDCStages(plain, tmp_path, 0, lambda arguments: 0).names == ('warmup', 'iterate')
