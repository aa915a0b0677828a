"""Read what a run left in its work dir: ``imbdense/run.json``, evaluation files, scalars, worst images."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = 'imbdense'
SEED_SUFFIX = re.compile(r'[-_. ]*seed[-_=]?\d+$', re.IGNORECASE)
NOT_MEASURED = {'step', 'time', 'data_time', 'iter', 'epoch', 'memory'}
EVALUATION_NAME = re.compile(r'^(?P<split>[A-Za-z0-9-]+)_(?P<step>\d+)_(?P<kind>\w+)\.json$')


class WorkDirError(ValueError):
    """A work dir holds nothing a report could be made of; the message names it and says what to do."""


@dataclass(frozen=True)
class Evaluation:
    """One validation or test.

    Attributes:
        split: 'val' or 'test'. step: training iteration it was made at.
        scalars: every number the metrics returned, by key; undefined ones are left out.
        artifacts: kind ('confusion', 'coco', 'ranking', 'calibration') -> the metric's artefact.
    """

    split: str
    step: int
    scalars: dict[str, float]
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One work dir, as far as it could be read.

    Attributes:
        path: the folder. info: content of run.json ({} without one).
        evaluations: ascending by (step, split). curve: (step, training loss) points.
        worst: records of the worst images of the rare classes, with paths relative to ``worst_dir``.
        collapse: records of ``imbdense/neural_collapse.json``, ascending by step.
        warnings: what could not be read, in words.
    """

    path: Path
    info: dict[str, Any]
    evaluations: list[Evaluation]
    curve: list[tuple[int, float]]
    worst: list[dict[str, Any]]
    warnings: list[str]
    collapse: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seed(self) -> int | None:
        """The seed of the run; ``None`` when unknown."""
        seed = self.info.get('seed')
        return seed if isinstance(seed, int) else None

    @property
    def classes(self) -> list[str]:
        """Class names in label order, [] when unknown."""
        if self.info.get('classes'):
            return list(self.info['classes'])
        for evaluation in reversed(self.evaluations):
            for artifact in evaluation.artifacts.values():
                if artifact.get('classes'):
                    return list(artifact['classes'])
        return []

    @property
    def name(self) -> str:
        """Experiment name without a seed suffix; the folder name when the run did not say."""
        return SEED_SUFFIX.sub('', str(self.info.get('experiment') or self.path.name)) or self.path.name

    @property
    def worst_dir(self) -> Path:
        """Folder of the worst images."""
        return self.path / FOLDER / 'worst'

    @property
    def last(self) -> Evaluation | None:
        """The evaluation that the report shows: the last test, or the last validation without one."""
        tests = [evaluation for evaluation in self.evaluations if evaluation.split == 'test']
        pool = tests or self.evaluations
        return pool[-1] if pool else None


def read_run(path: Path) -> Run:
    """Read a work dir; unreadable files become warnings, so that a killed run still gives a report.

    Raises:
        WorkDirError: the folder does not exist, or holds neither evaluations nor training scalars.
    """
    if not path.is_dir():
        raise WorkDirError(f'{path} is not a folder. Give the --work-dir of a training.')
    warnings: list[str] = []
    info = _read_json(path / FOLDER / 'run.json', warnings) if (path / FOLDER / 'run.json').exists() else {}
    loss, logged = _read_scalars(path, warnings)
    evaluations = _read_evaluations(path / FOLDER, warnings) or logged
    worst = _read_json(path / FOLDER / 'worst' / 'index.json', warnings, default=[])
    if not evaluations and not loss:
        reason = f' ({"; ".join(warnings)})' if warnings else ''
        raise WorkDirError(
            f'{path} holds no evaluation and no training log{reason}. Add dict(type="imbdense.ReportHook") to '
            f'custom_hooks of the config, or wait for the first log line.'
        )
    if not evaluations:
        warnings.append('no evaluation yet: only the training loss can be shown')
    if not isinstance(worst, list):
        warnings.append('imbdense/worst/index.json is not a list')
        worst = []
    collapse = _read_collapse(path / FOLDER / 'neural_collapse.json', warnings)
    return Run(path, info if isinstance(info, dict) else {}, evaluations, loss, worst, warnings, collapse)


def _read_json(path: Path, warnings: list[str], default: Any = None) -> Any:
    """Parse a file; an absent or broken one gives the default, the latter with a warning."""
    fallback = {} if default is None else default
    if not path.exists():
        return fallback
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        warnings.append(f'{path} cannot be read ({error}); it is left out')
        return fallback


def _read_evaluations(folder: Path, warnings: list[str]) -> list[Evaluation]:
    """Join the files of one evaluation (same split and step) into one record."""
    found: dict[tuple[int, str], Evaluation] = {}
    for path in sorted(folder.glob('*.json')):
        match = EVALUATION_NAME.match(path.name)
        if not match:
            continue
        record = _read_json(path, warnings)
        if not isinstance(record, dict):
            warnings.append(f'{path} is not an evaluation file; it is left out')
            continue
        key = (int(match['step']), match['split'])
        entry = found.setdefault(key, Evaluation(key[1], key[0], {}))
        artifact = record.get('artifact')
        if isinstance(artifact, dict):
            entry.artifacts[match['kind']] = artifact
            entry.scalars.update(_finite(artifact.get('scalars')))
        entry.scalars.update(_finite(record.get('scalars')))
    return [found[key] for key in sorted(found) if found[key].scalars or found[key].artifacts]


def _read_collapse(path: Path, warnings: list[str]) -> list[dict[str, Any]]:
    """Measurements of NeuralCollapseHook; [] without a file."""
    content = _read_json(path, warnings)
    history = content.get('history') if isinstance(content, dict) else None
    records = [item for item in history or [] if isinstance(item, dict) and isinstance(item.get('step'), int)]
    return sorted(records, key=lambda item: item['step'])


def _read_scalars(path: Path, warnings: list[str]) -> tuple[list[tuple[int, float]], list[Evaluation]]:
    """Training loss and logged evaluations from vis_data/scalars.json of every (re)start, oldest first."""
    loss: dict[int, float] = {}
    evaluations: dict[int, Evaluation] = {}
    for file in sorted(path.glob('*/vis_data/scalars.json')):
        broken = 0
        for line in file.read_text(encoding='utf-8', errors='replace').splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                broken += 1
                continue
            step = record.get('step', record.get('iter'))
            if not isinstance(step, int):
                continue
            values = _finite(record)
            if 'loss' in values:
                loss[step] = values['loss']
            elif 'lr' not in values and values.keys() - NOT_MEASURED:
                found = {key: value for key, value in values.items() if _is_measured(key)}
                if found:
                    evaluations[step] = Evaluation('val', step, found)
        if broken:
            warnings.append(f'{file} has {broken} broken lines (a killed run); they are left out')
    return sorted(loss.items()), [evaluations[step] for step in sorted(evaluations)]


def _is_measured(key: str) -> bool:
    """Whether a logged number comes from a metric, and not from the loop or from a look at the training features."""
    return key not in NOT_MEASURED and not key.startswith('collapse/')


def _finite(values: Any) -> dict[str, float]:
    """The finite numbers of a mapping; None, NaN, text and booleans are left out."""
    if not isinstance(values, dict):
        return {}
    return {
        key: float(value)
        for key, value in values.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }
