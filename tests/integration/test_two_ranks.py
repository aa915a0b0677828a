"""Two processes on CPU train one model: they agree, they see different data, and none waits for ever."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('mmengine')

from imbdense.mm.checkpoints import load_checkpoint
from tests.integration.tiny_data import write_pair
from tests.integration.toy import write_config

ROOT = Path(__file__).resolve().parents[2]


def dist_train(config: Path, work_dir: Path, *flags: str) -> str:
    """`tools/dist_train.sh CONFIG 2`; fails with the output."""
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    command = ['bash', str(ROOT / 'tools' / 'dist_train.sh'), str(config), '2', '--work-dir', str(work_dir), *flags]
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_two_ranks_agree(tmp_path: Path) -> None:
    """The launcher finds a port, the ranks draw different images, one checkpoint is written."""
    config = write_config(tmp_path, train_cfg='dict(by_epoch=False, max_iters=8)')
    output = dist_train(config, tmp_path / 'run')
    assert 'Distributed launcher: pytorch' in output
    assert 'GPU number: 2' in output  # the host's name for the number of ranks
    assert load_checkpoint(tmp_path / 'run' / 'iter_8.pth')['meta']['iter'] == 8


@pytest.mark.slow
def test_two_ranks_resume_exactly(tmp_path: Path) -> None:
    """Stop after 16 of 40 iterations and go on: the weights of a run that went through."""
    config = write_config(tmp_path, workers=0)
    whole, parts = tmp_path / 'whole', tmp_path / 'parts'
    dist_train(config, whole)
    dist_train(config, parts, '--cfg-options', 'train_cfg.max_iters=16')
    dist_train(config, parts, '--resume')
    one, two = load_checkpoint(whole / 'iter_40.pth'), load_checkpoint(parts / 'iter_40.pth')
    for key, value in one['state_dict'].items():
        assert torch.equal(value, two['state_dict'][key]), key


@pytest.mark.slow
def test_a_rank_without_foreground_does_not_hang(tmp_path: Path) -> None:
    """Of two images one holds only ignored pixels and one only background: losses, counts and gradients still meet."""
    pytest.importorskip('mmseg')
    for split in ('train', 'val'):
        empty = np.full((64, 64), 255, np.uint8)
        background = np.zeros((64, 64), np.uint8)
        background[30:34, 30:34] = 2 * (split == 'val')
        write_pair(tmp_path / 'data', split, 'a', empty)
        write_pair(tmp_path / 'data', split, 'b', background)
    flags = [f'{loader}_dataloader.{option}' for loader in ('train', 'val', 'test')
             for option in (f'dataset.data_root={tmp_path / "data"}', 'num_workers=0', 'persistent_workers=False')]
    output = dist_train(
        ROOT / 'configs' / 'medical' / 'fpn_mobilenetv2_nuclei_rare.py', tmp_path / 'run', '--cfg-options', *flags,
        'train_dataloader.batch_size=1', 'train_cfg.max_iters=4', 'train_cfg.val_interval=4',
        'default_hooks.logger.interval=1', 'model.data_preprocessor.size=(64,64)',
        'train_dataloader.dataset.pipeline.2.crop_size=(64,64)', 'model.backbone.norm_eval=True',
    )
    assert 'Iter(train) [4/4]' in output
    assert (tmp_path / 'run' / 'iter_4.pth').is_file()
