"""`imbdense self-train`: which steps run, what is kept, what a stopped run does again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import Config

from imbdense.cli import self_train
from imbdense.cli.main import run_verb
from imbdense.mm.checkpoints import load_checkpoint
from tests.data.pseudo.label_folders import write_label_folder
from tests.mm.datasets.semi_data import CLASSES, labeled_config, write_semi
from tests.mm.segmentors.semi_cases import fcn

COUNTS = {'format': 1, 'classes': list(CLASSES), 'pixels': [4000, 700, 700, 9]}


def write_base(root: Path, iterations: int = 4) -> Path:
    """A small run on tiny images that validates on other ones."""
    write_semi(root / 'data')
    write_semi(root / 'other', labeled=2, unlabeled=0, size=48)
    load = [dict(type='LoadImageFromFile'), dict(type='imbdense.LoadSegMask'), dict(type='PackSegInputs')]
    config = Config(dict(
        default_scope='mmseg', model=fcn(),
        train_dataloader=dict(batch_size=4, num_workers=0, dataset=labeled_config(root / 'data'),
                              sampler=dict(type='InfiniteSampler')),
        val_dataloader=dict(batch_size=1, num_workers=0, dataset={**labeled_config(root / 'other'), 'pipeline': load},
                            sampler=dict(type='DefaultSampler', shuffle=False)),
        val_evaluator=dict(type='imbdense.ConfusionMetric'),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-3)),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations),
        val_cfg=dict(type='ValLoop'),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2),
            logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False),
            class_counts=dict(type='imbdense.ClassCountHook')),
        log_processor=dict(by_epoch=False, window_size=1),
        env_cfg=dict(mp_cfg=dict(mp_start_method='fork'))))  # fmt: skip
    path = root / 'base.py'
    config.dump(str(path))
    return path


class FakeVerbs:
    """Stands for the processes: writes what the verbs would leave, and remembers how it was called."""

    def __init__(self, root: Path) -> None:
        self.images = sorted((root / 'data' / 'unlabeled').iterdir())
        self.calls: list[list[str]] = []
        self.fail: Callable[[list[str]], int] = lambda call: 0

    def __call__(self, processes: int, lock: int) -> Callable[[Sequence[str]], int]:
        return self.execute

    def execute(self, arguments: Sequence[str]) -> int:
        """Train: a checkpoint and a validation; pseudo-label: a finished folder."""
        call = list(arguments)
        self.calls.append(call)
        code = self.fail(call)
        if code:
            return code
        if call[0] == 'pseudo-label':
            out = Path(self.flag('--out'))
            label = np.full((40, 40), 255, np.uint8)
            label[:20], label[30, :9] = 0, 3
            write_label_folder(out, self.images, [label] * len(self.images), CLASSES)
            report = json.loads((out / 'pseudo_report.json').read_text())
            more = {'thresholds': [0.9, None, None, 0.5], 'guards': {}, 'warnings': [], 'broken': {}}
            (out / 'pseudo_report.json').write_text(json.dumps({**report, **more}))
            return 0
        folder = Path(self.flag('--work-dir'))
        (folder / 'now' / 'vis_data').mkdir(parents=True)
        scores = {'mIoU': 0.25 + 0.01 * len(self.calls), 'IoU/ground': 0.75, 'IoU/mast': 0.125, 'step': 4}
        (folder / 'now' / 'vis_data' / 'scalars.json').write_text(json.dumps(scores))
        torch.save({'meta': {'imbdense': {'class_counts': COUNTS}}, 'state_dict': {}}, folder / 'iter_4.pth')
        (folder / 'last_checkpoint').write_text(str(folder / 'iter_4.pth'))
        return 0

    def flag(self, name: str) -> str:
        """The value of a flag of the last call."""
        return self.calls[-1][self.calls[-1].index(name) + 1]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeVerbs:
    write_base(tmp_path)
    verbs = FakeVerbs(tmp_path)
    monkeypatch.setattr(self_train, 'runner', verbs)
    return verbs


def arguments(root: Path, *more: str) -> list[str]:
    return [str(root / 'base.py'), '--unlabeled', str(root / 'data' / 'unlabeled'), '--work-dir', str(root / 'w'),
            '--traceback', *more]


def test_steps_schedule_and_table(tmp_path: Path, fake: FakeVerbs, capsys: pytest.CaptureFixture[str]) -> None:
    """Base, then label and train per round; shares grow and stop; every round labels with the model before it."""
    more = ('--rounds', '3', '--rule', 'class-balanced', '--portion', '0.4', '--portion-step', '0.08', '--mine-rare')
    assert run_verb('self-train', arguments(tmp_path, *more)) == 0
    assert [call[0] for call in fake.calls] == ['train', *['pseudo-label', 'train'] * 3]
    labelling = [call for call in fake.calls if call[0] == 'pseudo-label']
    assert [call[call.index('--portion') + 1] for call in labelling] == ['0.4', '0.48', '0.5']
    for number, call in enumerate(labelling):
        assert call[1].endswith(f'round_{number}/config.py') and call[2].endswith(f'round_{number}/train/iter_4.pth')
        assert call[call.index('--class-counts') + 1].endswith('w/class_counts.json')
    assert json.loads((tmp_path / 'w' / 'class_counts.json').read_text()) == COUNTS
    records = json.loads((tmp_path / 'w' / 'rounds.json').read_text())
    assert [record['round'] for record in records] == [0, 1, 2, 3]
    assert records[2]['kept'] == [4000, 0, 0, 45] and records[2]['mined'] == [1, 2, 3]
    assert records[3]['scores']['mIoU'] == pytest.approx(0.32)
    table = capsys.readouterr().out
    assert '0.7500, 4000' in table and '0.1250, 45*' in table and '0.48' in table
    data = Config.fromfile(str(tmp_path / 'w' / 'round_2' / 'config.py')).train_dataloader.dataset
    assert data.pseudo_dir.endswith('round_2/pseudo') and data.labeled.pipeline[2].type == 'imbdense.RareClassCrop'


def test_finished_rounds_are_not_made_again(tmp_path: Path, fake: FakeVerbs) -> None:
    """Stopped in the labelling of round 2; then more rounds than first asked for."""
    fake.fail = lambda call: 2 if call[0] == 'pseudo-label' and 'round_2' in call[call.index('--out') + 1] else 0
    assert run_verb('self-train', arguments(tmp_path, '--rounds', '2')) == 2
    assert len(fake.calls) == 4
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / 'w').glob('round_[01]/*.*')}
    fake.fail = lambda call: 0
    assert run_verb('self-train', arguments(tmp_path, '--rounds', '3')) == 0
    assert [call[0] for call in fake.calls[4:]] == ['pseudo-label', 'train'] * 2
    assert before and all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())


def test_an_interrupted_step_ends_the_run(tmp_path: Path, fake: FakeVerbs, capsys: pytest.CaptureFixture[str]) -> None:
    fake.fail = lambda call: 130
    assert run_verb('self-train', arguments(tmp_path)) == 130
    assert 'run the same command again' in capsys.readouterr().err and len(fake.calls) == 1


def test_broken_images_show_in_the_exit_code(tmp_path: Path, fake: FakeVerbs) -> None:
    execute = fake.execute

    def one_broken(call: Sequence[str]) -> int:
        code = execute(call)
        if call[0] != 'pseudo-label':
            return code
        path = Path(fake.flag('--out')) / 'pseudo_report.json'
        path.write_text(json.dumps({**json.loads(path.read_text()), 'broken': {'x.png': 'no image'}}))
        return 1

    fake.execute = one_broken  # type: ignore[method-assign]
    assert run_verb('self-train', arguments(tmp_path)) == 1


@pytest.mark.parametrize(('more', 'words'), [
    (('--seed', '1'), 'self-training rounds of something else .*seed'), (('--weight', '0.5'), 'union'),
    (('--rule', 'auto'), 'flags'), (('--cfg-options', 'train_cfg.max_iters=5'), 'config'),
])  # fmt: skip
def test_another_run_in_the_same_folder_is_refused(
    tmp_path: Path, fake: FakeVerbs, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], words: str
) -> None:
    import re

    assert run_verb('self-train', arguments(tmp_path)) == 0
    calls = len(fake.calls)
    rest = [word for word in arguments(tmp_path, *more) if word != '--traceback']
    assert run_verb('self-train', rest) == 2
    found = capsys.readouterr().err
    assert re.search(words, found) and '--work-dir' in found and len(fake.calls) == calls


@pytest.mark.parametrize(('more', 'words'), [
    (('--rounds', '0'), 'at least 1'), (('--rule', 'class-balanced', '--portion', '0.6'), 'is no schedule'),
    (('--cfg-options', 'train_dataloader.batch_size=1'), 'batch_size must be at least 2'),
])  # fmt: skip
def test_wrong_use(tmp_path: Path, fake: FakeVerbs, capsys: pytest.CaptureFixture[str], more: tuple[str, ...],
                   words: str) -> None:  # fmt: skip
    rest = [word for word in arguments(tmp_path, *more) if word != '--traceback']
    assert run_verb('self-train', rest) == 2
    assert words in capsys.readouterr().err


def test_two_at_once_are_refused(tmp_path: Path, fake: FakeVerbs, capsys: pytest.CaptureFixture[str]) -> None:
    """The second is started while the first runs its first step."""
    codes: list[int] = []
    rest = [word for word in arguments(tmp_path) if word != '--traceback']
    fake.fail = lambda call: codes.append(run_verb('self-train', rest)) or 0 if not codes else 0  # type: ignore
    assert run_verb('self-train', rest) == 0
    assert codes == [2] and 'another process is at work in' in capsys.readouterr().err


def test_children_are_verbs_of_this_python_and_hold_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[list[str], Any]] = []

    class Process:
        def __init__(self, command: list[str], pass_fds: Any) -> None:
            started.append((command, pass_fds))

        def wait(self) -> int:
            return 7

    monkeypatch.setattr(subprocess, 'Popen', Process)
    assert self_train.runner(1, 5)(['train', 'a.py']) == 7
    assert self_train.runner(4, 5)(['train', 'a.py']) == 7
    assert started[0] == ([sys.executable, '-m', 'imbdense', 'train', 'a.py'], (5,))
    launch = ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '4', '-m']
    assert started[1][0][1:] == [*launch, 'imbdense', 'train', 'a.py']


@pytest.mark.slow
def test_killed_rounds_go_on(tmp_path: Path) -> None:
    """The real thing in processes: kill -9 of the whole group in round 1, then the same command."""
    write_base(tmp_path)
    more = ('--rounds', '1', '--rule', 'fixed', '--threshold', '0', '--weight', '0.5', '--by-confidence', '--device',
            'cpu')
    command = [sys.executable, '-m', 'imbdense', 'self-train', *arguments(tmp_path, *more)]
    with open(tmp_path / 'log', 'wb') as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        killed = tmp_path / 'w' / 'round_1' / 'train' / 'iter_2.pth'
        deadline = time.monotonic() + 600
        while not killed.is_file() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert killed.is_file(), (tmp_path / 'log').read_text()[-2000:]
    assert not (tmp_path / 'w' / 'round_1' / 'round.json').is_file()
    kept = [tmp_path / 'w' / 'round_0' / 'round.json', tmp_path / 'w' / 'round_0' / 'train' / 'iter_4.pth',
            tmp_path / 'w' / 'round_1' / 'pseudo' / 'labels' / '04.png']
    before = [path.stat().st_mtime_ns for path in kept]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [path.stat().st_mtime_ns for path in kept] == before
    base, trained = json.loads((tmp_path / 'w' / 'rounds.json').read_text())
    assert sum(trained['kept']) == 5 * 1600 and trained['scores']['mIoU'] > 0 and base['scores']['mIoU'] > 0
    stored = load_checkpoint(tmp_path / 'w' / 'round_1' / 'train' / 'iter_4.pth')['meta']['imbdense']
    labelled = json.loads((tmp_path / 'w' / 'class_counts.json').read_text())['pixels']
    assert stored['class_counts']['pixels'] == [a + b for a, b in zip(labelled, trained['kept'])]
