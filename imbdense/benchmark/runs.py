"""One cell of a grid: a training or a test, its folder, its command and its result."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imbdense.benchmark.suites import Method, Suite
from imbdense.utils.files import atomic_write_text

RESULT_FILE = 'result.json'
FAILURE_FILE = 'failed.txt'
REFUSALS = ('nothing is left to correct', 'corrects for a class distribution that')
"""What a DoubleCorrectionError says."""


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

    def ended(self) -> bool:
        """Whether the run has a result or has failed."""
        return (self.folder / RESULT_FILE).is_file() or (self.folder / FAILURE_FILE).is_file()

    def command(self, config: Path) -> list[str]:
        """The ``imbdense`` verb and its arguments: a training that resumes where it was stopped."""
        return ['train', str(config), '--work-dir', str(self.folder), '--resume']

    def scores(self) -> dict[str, float]:
        """The scalars of the last validation, once the process has ended; empty when it left none."""
        return validation_scores(self.folder)

    def checkpoint(self) -> Path | None:
        """The last checkpoint of the training, else ``None``."""
        pointer = self.folder / 'last_checkpoint'
        return self.folder / Path(pointer.read_text().strip()).name if pointer.is_file() else None


@dataclass(frozen=True, eq=False)
class Measurement(Run):
    """A test without a training: of a model that has nothing to learn."""

    def command(self, config: Path) -> list[str]:
        """``imbdense test``, with :meth:`weights` if there are any."""
        scores = str(self.folder / 'scores.json')
        return ['test', str(config), *self.weights(), '--work-dir', str(self.folder), '--out', scores]

    def weights(self) -> list[str]:
        """The checkpoint, if there is one."""
        return []

    def scores(self) -> dict[str, float]:
        """What the test wrote."""
        path = self.folder / 'scores.json'
        written = json.loads(path.read_text())['scores'] if path.is_file() else {}
        return {name: value for name, value in written.items() if value is not None}


@dataclass(frozen=True, eq=False)
class Evaluation(Measurement):
    """A test of a finished training with other test-time lines; costs no training."""

    trained: Run

    def weights(self) -> list[str]:
        """The training's last checkpoint."""
        return [str(self.trained.checkpoint())]

    def scores(self) -> dict[str, float]:
        """What the test wrote; a step that the prior ledger refuses is a result too, with ``refused`` = 1."""
        found = super().scores()
        if found:
            return found
        log = self.log.read_text(errors='replace') if self.log.is_file() else ''
        return {'refused': 1.0} if any(phrase in log for phrase in REFUSALS) else {}


def validation_scores(work_dir: Path) -> dict[str, float]:
    """The scalars of the last validation of a training; empty when there was none."""
    found: dict[str, float] = {}
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if 'loss' not in record and 'lr' not in record:
                found = {k: v for k, v in record.items() if isinstance(v, (int, float)) and math.isfinite(v)}
    return found


def plan(suites: Sequence[Suite], seeds: Sequence[int], work_dir: Path) -> list[Run]:
    """All runs, seed by seed, so that an interrupted grid has whole columns."""
    return [
        (Run if method.trained else Measurement)(
            suite, method, seed, work_dir / suite.name / f'{method.name}_seed{seed}')
        for suite in suites
        for seed in seeds
        for method in suite.methods
    ]


def write_config(run: Run, configs: Path) -> Path:
    """Write the flat config of one run (base + method lines + seed) into its folder and return the path."""
    from mmengine.config import Config

    config = Config.fromfile(str(configs / (run.method.config or run.suite.config)))
    own = run.suite.run_lines(run.method.name, run.seed) if run.suite.run_lines else {}
    for path, value in {**run.suite.lines, **own, **run.method.lines}.items():
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
