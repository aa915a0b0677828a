"""``distribute=True`` under the launcher: rank 0 saves alone, the momentum of all ranks is in the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip('mmengine')

from imbdense.mm.checkpoints import load_checkpoint
from tests.integration.test_two_ranks import dist_train
from tests.integration.toy import write_config

MUON = """
optim_wrapper = dict(type='OptimWrapper', constructor='imbdense.MuonOptimWrapperConstructor',
    optimizer=dict(type='imbdense.MuonAdamW', lr=1e-2, muon_lr=0.02, distribute={distribute}),
    paramwise_cfg=dict(custom_keys={{'net.0.weight': dict(use_muon=True), 'net.4.weight': dict(use_muon=True)}}))
"""


def muon_config(folder: Path, distribute: bool) -> Path:
    folder.mkdir()
    path = write_config(folder, workers=0)
    path.write_text(path.read_text().replace('optim_wrapper =', 'unused =') + MUON.format(distribute=distribute))
    return path


@pytest.mark.slow
def test_saved_and_resumed_run_equals_one_that_is_not_distributed(tmp_path: Path) -> None:
    config = muon_config(tmp_path / 'shared', True)
    dist_train(config, tmp_path / 'parts', '--cfg-options', 'train_cfg.max_iters=16')
    state = load_checkpoint(tmp_path / 'parts' / 'iter_16.pth')['optimizer']['state']
    assert sum('momentum_buffer' in entry for entry in state.values()) == 2
    dist_train(config, tmp_path / 'parts', '--resume')
    dist_train(muon_config(tmp_path / 'plain', False), tmp_path / 'whole')
    one, two = (load_checkpoint(tmp_path / run / 'iter_40.pth')['state_dict'] for run in ('parts', 'whole'))
    for key, value in one.items():
        assert torch.allclose(value, two[key], atol=1e-5), key
