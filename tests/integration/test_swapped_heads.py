"""Swapped classifiers through whole runs: an inherited config changed in one place, training, resuming, testing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip('mmseg.models')

from mmengine.config import Config
from mmengine.runner import Runner

from tests.mm.hooks.tiny_run import config, write_dataset

SWAP = """
_base_ = ['./plain.py']
model = dict(decode_head=dict(_delete_=True, {arguments}, base={{{{_base_.model.decode_head}}}}))
"""
CASES = {
    'etf': "type='imbdense.ETFSegHead'",
    'gof': "type='imbdense.ETFSegHead', frame='gof', class_counts=[500, 48, 4], gamma=-0.25",
    'cosine': "type='imbdense.NormedSegHead', temperature=10.0",
}


def inherited(folder: Path, arguments: str) -> Config:
    """A user's config that changes one thing of another one."""
    write_dataset(folder / 'data')
    plain = config(folder / 'data', folder / 'work', hooks=[{'type': 'imbdense.NeuralCollapseHook', 'interval': 2}])
    plain.train_cfg = {'type': 'IterBasedTrainLoop', 'max_iters': 4, 'val_interval': 4}
    plain.default_hooks = {'checkpoint': {'type': 'CheckpointHook', 'interval': 2, 'by_epoch': False}}
    plain.train_dataloader.sampler = {'type': 'InfiniteSampler', 'shuffle': True}
    plain.dump(folder / 'plain.py')
    (folder / 'swapped.py').write_text(SWAP.format(arguments=arguments))
    return Config.fromfile(str(folder / 'swapped.py'))


def weights(path: Path) -> dict[str, Any]:
    return torch.load(path, map_location='cpu', weights_only=False)['state_dict']


@pytest.mark.parametrize('name', CASES)
def test_train_resume_and_test(name: str, tmp_path: Path) -> None:
    run = Runner.from_cfg(inherited(tmp_path, CASES[name]))
    run.train()
    first, last = (weights(tmp_path / 'work' / f'iter_{step}.pth') for step in (2, 4))
    frame = 'decode_head.conv_seg.etf'
    assert (frame in last) == (name != 'cosine')
    if frame in last:
        assert torch.equal(first[frame], last[frame])
    learned = 'decode_head.conv_seg.weight' if name == 'cosine' else 'decode_head.conv_seg.projection.weight'
    assert not torch.equal(first[learned], last[learned])

    again = Config.fromfile(str(tmp_path / 'swapped.py'))
    again.resume, again.load_from = True, str(tmp_path / 'work' / 'iter_2.pth')
    again.work_dir, again.experiment_name = str(tmp_path / 'again'), f'resumed_{name}'
    if name != 'cosine':
        again.model.decode_head.seed = 99  # the checkpoint brings its own frame
    resumed = Runner.from_cfg(again)
    resumed.train()
    assert resumed.iter == 4
    if frame in last:
        assert torch.equal(weights(tmp_path / 'again' / 'iter_4.pth')[frame], last[frame])
    assert 'mIoU' in str(resumed.val())
