"""Checkpoints that did not come from us are loaded without running anything in them."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('mmengine')

from mmengine.logging.history_buffer import HistoryBuffer

from imbdense.mm.checkpoints import CheckpointError, install_safe_loading, latest_checkpoint, load_checkpoint


class Evil:
    """Runs a command when it is unpickled the usual way."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f'touch {self.target}',)


class EvilAttribute:
    """Reaches for an attribute through the getattr that the host's allow-list contains."""

    def __reduce__(self) -> tuple[object, tuple[object, str]]:
        return getattr, (HistoryBuffer, '__init__')


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / 'evil.pth', tmp_path / 'ran'
    torch.save({'state_dict': {'w': torch.zeros(2)}, 'meta': Evil(trace)}, path)
    with pytest.raises(CheckpointError, match='could run code') as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    assert 'weights_only=False' in str(caught.value)  # how to convert a file one trusts
    assert not trace.exists()


def test_host_loader_no_longer_falls_back(tmp_path: Path) -> None:
    """`load_from`, `init_cfg=Pretrained` and resume go through CheckpointLoader."""
    from mmengine.runner.checkpoint import CheckpointLoader

    install_safe_loading()
    path, trace = tmp_path / 'evil.pth', tmp_path / 'ran'
    torch.save(Evil(trace), path)
    with pytest.raises(CheckpointError):
        CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
    assert not trace.exists()


def test_only_statistics_may_be_looked_up(tmp_path: Path) -> None:
    path = tmp_path / 'attribute.pth'
    torch.save({'x': EvilAttribute()}, path)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


def test_what_the_host_stores_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / 'host.pth'
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    content = {
        'state_dict': {'w': torch.arange(3.0)},
        'message_hub': {'log_scalars': {'loss': buffer}, 'runtime_info': {'palette': np.eye(2), 'n': np.float64(3)}},
        'meta': {'classes': ('a', 'b'), 'range': slice(1, 3)},
    }
    torch.save(content, path)
    loaded = load_checkpoint(path)
    assert torch.equal(loaded['state_dict']['w'], torch.arange(3.0))
    assert loaded['message_hub']['log_scalars']['loss'].mean() == 1.5
    assert np.array_equal(loaded['message_hub']['runtime_info']['palette'], np.eye(2))
    assert loaded['meta'] == content['meta']


@pytest.mark.parametrize('damage', [lambda b: b[: len(b) // 2], lambda b: b'', lambda b: b'hello'])
def test_damaged_file_is_named(tmp_path: Path, damage: object) -> None:
    path = tmp_path / 'damaged.pth'
    torch.save({'w': torch.zeros(1000)}, path)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(CheckpointError, match=r'damaged\.pth'):
        load_checkpoint(path)


def test_missing_file_lists_its_neighbours(tmp_path: Path) -> None:
    torch.save({}, tmp_path / 'iter_8.pth')
    with pytest.raises(CheckpointError, match=r'no checkpoint .*iter_9.*iter_8\.pth'):
        load_checkpoint(tmp_path / 'iter_9.pth')


def test_plain_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'old.pkl'
    path.write_bytes(pickle.dumps({'a': Evil(tmp_path / 'ran')}))
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    assert not (tmp_path / 'ran').exists()


def test_latest_checkpoint_survives_moves_and_empty_pointers(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path) is None
    for name in ('iter_8.pth', 'iter_16.pth', 'best_mIoU_iter_8.pth'):
        (tmp_path / name).write_bytes(b'x')
    assert latest_checkpoint(tmp_path) == tmp_path / 'iter_16.pth'
    (tmp_path / 'last_checkpoint').write_text('')
    assert latest_checkpoint(tmp_path) == tmp_path / 'iter_16.pth'
    (tmp_path / 'last_checkpoint').write_text('/somewhere/else/iter_8.pth')
    assert latest_checkpoint(tmp_path) == tmp_path / 'iter_8.pth'
