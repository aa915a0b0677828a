"""Run (suite x method x seed) as training processes: resumable, a few at a time, one thread each."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imbdense.benchmark.grid_progress import grid_progress
from imbdense.benchmark.suites import Method, Suite
from imbdense.utils.files import atomic_write_json, atomic_write_text

RESULT_FILE = 'result.json'


@dataclass(frozen=True, eq=False)
class Run:
    """One training: where it lives and what it needs."""

    suite: Suite
    method: Method
    seed: int
    folder: Path

    @property
    def label(self) -> str:
        """Short name for progress lines."""
        return f'{self.suite.name} / {self.method.name} / seed {self.seed}'

    @property
    def log(self) -> Path:
        """What the training prints."""
        return self.folder / 'log.txt'

    def result(self) -> dict[str, float] | None:
        """The final metrics of a finished run, else ``None``."""
        path = self.folder / RESULT_FILE
        return json.loads(path.read_text())['metrics'] if path.is_file() else None


def plan(suites: Sequence[Suite], seeds: Sequence[int], work_dir: Path) -> list[Run]:
    """All runs, seed by seed, so that an interrupted grid has whole columns."""
    return [
        Run(suite, method, seed, work_dir / suite.name / f'{method.name}_seed{seed}')
        for suite in suites
        for seed in seeds
        for method in suite.methods
    ]


def write_config(run: Run, configs: Path) -> Path:
    """Write the flat config of one run (base + method lines + seed) into its folder and return the path."""
    from mmengine.config import Config

    config = Config.fromfile(str(configs / (run.method.config or run.suite.config)))
    for path, value in {**run.suite.lines, **run.method.lines}.items():
        replace_line(config, path, value)
    config.randomness = dict(seed=run.seed)
    config.experiment_name = f'{run.suite.name}-{run.method.name}'
    target = run.folder / 'config.py'
    atomic_write_text(target, config.pretty_text)
    return target


def replace_line(config: Any, path: str, value: Any) -> None:
    """Set ``config[a][b][c] = value`` for the path 'a.b.c'; a number indexes a list, ``+`` at the end appends.

    The value replaces what stood there (no merging), as editing that line of the config would.

    Raises:
        KeyError: a part of the path does not exist; the message names it.
    """
    *parents, last = path.split('.')
    node = config
    for depth, part in enumerate(parents):
        try:
            node = node[int(part)] if part.lstrip('-').isdigit() else node[part]
        except (KeyError, IndexError, TypeError) as error:
            raise KeyError(f"config has no '{'.'.join(parents[: depth + 1])}' (from the line '{path}')") from error
    if last == '+':
        node.append(value)
    elif last.lstrip('-').isdigit():
        node[int(last)] = value
    else:
        node[last] = value


def run_all(runs: Sequence[Run], configs: Path, *, jobs: int, report: Callable[[str], None]) -> list[Run]:
    """Train every run that has no result yet, ``jobs`` at a time; return the runs that failed.

    A killed grid goes on where it stopped: finished runs are kept, a half-done one resumes from its last checkpoint.
    Ctrl-C stops the children and leaves everything resumable. What runs is shown on the way.
    """
    waiting = [run for run in runs if run.result() is None]
    report(f'{len(runs) - len(waiting)} of {len(runs)} runs are done; {len(waiting)} to go, {jobs} at a time')
    active: dict[Run, tuple[subprocess.Popen[bytes], float]] = {}
    failed: list[Run] = []
    with grid_progress(report) as show:
        try:
            while waiting or active:
                while waiting and len(active) < jobs:
                    run = waiting.pop(0)
                    active[run] = (_start(run, configs), time.monotonic())
                show(active)
                for run, (process, start) in list(active.items()):
                    if process.poll() is not None:
                        del active[run]
                        _finish(run, process.returncode, time.monotonic() - start, failed, report)
                time.sleep(0.5)
        finally:
            for process, _ in active.values():
                process.terminate()
    return failed


def _finish(run: Run, code: int, seconds: float, failed: list[Run], report: Callable[[str], None]) -> None:
    """Keep the result of a run that has ended, or note it among the failed ones."""
    if code == 0 and _collect(run):
        report(f'done    {run.label} ({seconds / 60:.1f} min)')
    else:
        failed.append(run)
        report(f'FAILED  {run.label}: see {run.log}')


def _start(run: Run, configs: Path) -> subprocess.Popen[bytes]:
    """Launch one training process with its output in ``log.txt``."""
    config = write_config(run, configs)
    environment = dict(os.environ, OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')
    command = [sys.executable, '-m', 'imbdense', 'train', str(config), '--work-dir', str(run.folder), '--resume']
    with open(run.log, 'ab') as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def _collect(run: Run) -> bool:
    """Store the scalars of the last validation as the result; False when the run left none."""
    scalars: dict[str, float] = {}
    for path in sorted(run.folder.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if 'loss' not in record and 'lr' not in record:
                scalars = {k: v for k, v in record.items() if isinstance(v, (int, float)) and math.isfinite(v)}
    if not scalars:
        return False
    atomic_write_json(run.folder / RESULT_FILE, {'metrics': scalars, 'seed': run.seed, 'method': run.method.name})
    return True
