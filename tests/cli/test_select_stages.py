"""``imbdense select stages``: two trainings, each once, the second from the first."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from imbdense.cli import select_stages
from imbdense.cli.main import UserError

CONFIGS = ('configs/selection/stage1_autolabel.py', 'configs/selection/stage2_finetune.py')


class Process:
    """Stands for ``imbdense train``: notes its command and leaves a checkpoint, or fails at the ``fails``-th call."""

    def __init__(self, fails: int = -1) -> None:
        self.commands: list[list[str]] = []
        self.fails = fails

    def __call__(self, command: list[str], check: bool) -> Any:
        self.commands.append(command)
        folder = Path(command[command.index('--work-dir') + 1])
        folder.mkdir(parents=True, exist_ok=True)
        self.returncode = 1 if len(self.commands) == self.fails else 0
        if self.returncode == 0:
            (folder / 'iter_20.pth').write_bytes(b'')
            (folder / 'last_checkpoint').write_text(str(folder / 'iter_20.pth'))
        return self


def call(folder: Path, *more: str, configs: tuple[str, str] = CONFIGS) -> int:
    """Run the verb's part."""
    parser = argparse.ArgumentParser()
    select_stages.add_arguments(parser)
    return select_stages.run(parser.parse_args([*configs, '--work-dir', str(folder), *more]))


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    """No training is started."""
    found = Process()
    monkeypatch.setattr(select_stages.subprocess, 'run', found)
    monkeypatch.setattr('imbdense.mm.checkpoints.latest_checkpoint', lambda folder: (
        str(folder / 'iter_20.pth') if (folder / 'iter_20.pth').exists() else None))
    return found


def test_the_second_stage_starts_from_the_first(process: Process, tmp_path: Path) -> None:
    assert call(tmp_path, '--seed', '3', '--cfg-options', 'a.b=1') == 0
    first, second = process.commands
    assert first[3:5] == ['train', str(Path(CONFIGS[0]).resolve())] or first[4].endswith('stage1_autolabel.py')
    assert first[first.index('--work-dir') + 1].endswith('stage1') and '--resume' in first
    assert not any(word.startswith('load_from') for word in first)
    assert f'load_from={tmp_path / "stage1" / "iter_20.pth"}' in second and 'a.b=1' in second
    assert second[-2:] == ['--seed', '3']


def test_a_finished_stage_is_not_repeated(process: Process, tmp_path: Path) -> None:
    process.fails = 2
    assert call(tmp_path) == 1
    assert call(tmp_path) == 0
    stages = [Path(command[command.index('--work-dir') + 1]).name for command in process.commands]
    assert stages == ['stage1', 'stage2', 'stage2']
    assert call(tmp_path) == 0 and len(process.commands) == 3


def test_another_config_in_the_same_folder_is_refused(process: Process, tmp_path: Path) -> None:
    call(tmp_path)
    with pytest.raises(UserError, match='stage1_autolabel'):
        call(tmp_path, configs=(CONFIGS[1], CONFIGS[0]))


def test_a_finished_stage_with_other_settings_is_refused(
    process: Process, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would hand out a model that was not asked for; a stage that was stopped may go on with others."""
    process.fails = 1
    assert call(tmp_path, '--seed', '1') == 1
    assert 'stage1 has not ended (exit code 1). The same `imbdense select stages`' in capsys.readouterr().err
    assert call(tmp_path) == 0 and len(process.commands) == 3
    with pytest.raises(UserError, match=r"stage1.*cfg_options: \[\] there, \['a=1'\] now.*another --work-dir"):
        call(tmp_path, '--cfg-options', 'a=1')
    with pytest.raises(UserError, match='seed: None there, 2 now'):
        call(tmp_path, '--seed', '2')
    edited = tmp_path / Path(CONFIGS[0]).name
    edited.write_text('x = 1\n')
    with pytest.raises(UserError, match='content'):
        call(tmp_path, configs=(str(edited), CONFIGS[1]))


STOPPED = """
import sys
from imbdense.cli import select_stages
real = select_stages.subprocess.run
child = "import time\\ntry:\\n print('begun', flush=True)\\n time.sleep(60)\\nexcept KeyboardInterrupt:\\n" \
        " time.sleep(1); print('saved', flush=True); sys.exit(130)"
select_stages.subprocess.run = lambda command, check: real([sys.executable, '-c', 'import sys\\n' + child], check=check)
from imbdense.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_lets_the_training_end_in_its_own_way(tmp_path: Path) -> None:
    command = [sys.executable, '-c', STOPPED, 'select', 'stages', *CONFIGS, '--work-dir', str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None and process.stdout.readline() == 'begun\n'
    os.killpg(process.pid, signal.SIGINT)
    assert process.stdout.read() == 'saved\n' and process.wait(60) == 130
    assert not json.loads((tmp_path / 'stage1' / 'stage.json').read_text())['finished']
