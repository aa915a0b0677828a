"""A run that is killed with signal 9 and resumed ends with the weights of one that was not, bit for bit (CPU)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmengine')

from imbdense.cli.main import run_verb
from imbdense.mm.checkpoints import latest_checkpoint, load_checkpoint
from tests.integration.toy import write_config

ROOT = Path(__file__).resolve().parents[2]


def train(config: Path, work_dir: Path, *flags: str) -> subprocess.Popen[str]:
    """Start `imbdense train` in its own process."""
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    command = [sys.executable, str(ROOT / 'tools' / 'train.py'), str(config), '--work-dir', str(work_dir), *flags]
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)


def train_here(config: Path, work_dir: Path, *flags: str) -> None:
    """The same in this process (which saves the imports) to its end."""
    assert run_verb('train', [str(config), '--work-dir', str(work_dir), *flags]) == 0


def train_to_end(config: Path, work_dir: Path, *flags: str) -> None:
    """The same to its end: with the number of threads of a killed run, since sums depend on it in the last bit."""
    process = train(config, work_dir, *flags)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output


def kill_after_checkpoint(process: subprocess.Popen[str], checkpoint: Path, delay: float) -> None:
    """Wait until ``checkpoint`` is there and a little longer, then kill -9."""
    deadline = time.monotonic() + 180
    while not checkpoint.is_file():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, 'no checkpoint in time'
        time.sleep(0.02)
    time.sleep(delay)
    assert process.poll() is None, 'training ended before it was killed: make it slower'
    process.send_signal(signal.SIGKILL)
    process.wait()


def assert_same_weights(first: Path, second: Path) -> None:
    """Weights, buffers and momentum are bit-equal."""
    one, two = load_checkpoint(first), load_checkpoint(second)
    assert one['state_dict'].keys() == two['state_dict'].keys()
    for key, value in one['state_dict'].items():
        assert torch.equal(value, two['state_dict'][key]), key
    for key, state in one['optimizer']['state'].items():
        assert torch.equal(state['momentum_buffer'], two['optimizer']['state'][key]['momentum_buffer'])


@pytest.mark.parametrize(
    ('loop', 'workers', 'first', 'last'),
    [
        ('iter', 2, 'iter_8.pth', 'iter_40.pth'),
        pytest.param('iter', 0, 'iter_16.pth', 'iter_40.pth', marks=pytest.mark.slow),
        pytest.param('epoch', 0, 'epoch_2.pth', 'epoch_6.pth', marks=pytest.mark.slow),
        pytest.param('epoch', 2, 'epoch_1.pth', 'epoch_6.pth', marks=pytest.mark.slow),
    ],
)
def test_killed_and_resumed_equals_uninterrupted(
    tmp_path: Path, loop: str, workers: int, first: str, last: str
) -> None:
    """Kill between two checkpoints; the resumed run repeats the lost iterations exactly."""
    config = write_config(tmp_path, loop=loop, workers=workers, seed=None)
    slow = ('--cfg-options', 'model.delay=0.1')
    killed, whole = tmp_path / 'killed', tmp_path / 'whole'
    process = train(config, killed, *slow)
    kill_after_checkpoint(process, killed / first, delay=0.35)
    assert not (killed / last).exists()
    # The seed was drawn, not configured: resuming must find it in the checkpoint.
    seed = load_checkpoint(latest_checkpoint(killed))['meta']['seed']
    train_to_end(config, killed, '--resume')
    train_to_end(config, whole, '--seed', str(seed))
    assert_same_weights(killed / last, whole / last)
    assert not list(killed.glob('.*tmp*'))


def test_number_of_workers_does_not_change_the_result(tmp_path: Path) -> None:
    """Samples are seeded by their place in the stream, not by the worker that loads them."""
    config = write_config(tmp_path)
    train_here(config, tmp_path / 'none')
    train_here(config, tmp_path / 'three', '--cfg-options', 'train_dataloader.num_workers=3')
    assert_same_weights(tmp_path / 'none' / 'iter_40.pth', tmp_path / 'three' / 'iter_40.pth')


def test_ctrl_c_saves_and_tells_how_to_go_on(tmp_path: Path) -> None:
    """SIGINT ends after the iteration, with a checkpoint of that iteration and the command to resume."""
    config = write_config(tmp_path)
    work_dir = tmp_path / 'run'
    process = train(config, work_dir, '--cfg-options', 'model.delay=0.1')
    deadline = time.monotonic() + 120
    while not (work_dir / 'iter_8.pth').is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert f'--work-dir {work_dir} --resume' in output
    reached = int(latest_checkpoint(work_dir).stem.split('_')[1])
    assert 8 <= reached < 40
    assert 'Traceback' not in output
