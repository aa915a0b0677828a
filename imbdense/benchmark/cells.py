"""Published raw results of a grid: a JSON file with what every cell gave, so that a grid can be extended anywhere."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imbdense.benchmark.runs import RESULT_FILE, Run
from imbdense.utils.files import atomic_write_json


def restore_cells(path: Path, runs: Sequence[Run], configs: Path) -> int:
    """Count cells of the file as done; return how many.

    A cell is taken over when its suite, method and seed are in the file and config and lines of it have not changed
    since; one that has a result of its own keeps it.

    Raises:
        ValueError: the file is not one of :func:`write_cells`.
    """
    cells = {(*key, cell['recipe']): cell['metrics'] for key, cell in _read(path).items()}
    known = 0
    for run in runs:
        metrics = cells.get((run.suite.name, run.method.name, run.seed, _recipe(run, configs)))
        if metrics is not None and run.result() is None:
            record = {'metrics': metrics, 'seed': run.seed, 'method': run.method.name}
            run.folder.mkdir(parents=True, exist_ok=True)
            atomic_write_json(run.folder / RESULT_FILE, record)
            known += 1
    return known


def write_cells(path: Path, runs: Sequence[Run], configs: Path) -> None:
    """Write ``[{suite, method, seed, recipe, metrics}, ...]`` of all finished cells, new ones in the order of the plan.

    What the file holds of other suites, methods and seeds stays there: a part of a grid may be run by itself.

    Raises:
        ValueError: the file is there and is not one of these.
    """
    cells = _read(path)
    for run in runs:
        if (result := run.result()) is not None:
            cells[run.suite.name, run.method.name, run.seed] = {
                'suite': run.suite.name, 'method': run.method.name, 'seed': run.seed, 'recipe': _recipe(run, configs),
                'metrics': {name: round(value, 5) for name, value in result.items()}}
    atomic_write_json(path, list(cells.values()))


def _read(path: Path) -> dict[tuple[str, str, int], dict[str, Any]]:
    """The cells of a file by suite, method and seed; none where there is no file."""
    if not path.is_file():
        return {}
    try:
        cells = {(c['suite'], c['method'], c['seed']): c for c in json.loads(path.read_text())}
        if all(isinstance(cell['recipe'], str) and isinstance(cell['metrics'], dict) for cell in cells.values()):
            return cells
        error: Exception | str = 'a recipe or metrics of another kind'
    except (ValueError, TypeError, KeyError) as wrong:
        error = wrong
    raise ValueError(f'{path} holds no cells written by a benchmark ({error!r}); give another name.')


def _recipe(run: Run, configs: Path) -> str:
    """Short hash of the config of a cell and the lines that change it, but not of those made per run.

    It does not depend on where the machine keeps pretrained weights.
    """
    from mmengine.config import Config

    base: Any = Config.fromfile(str(configs / (run.method.config or run.suite.config))).pretty_text
    if folder := os.environ.get('IMBDENSE_WEIGHTS'):
        base = base.replace(folder.rstrip('/') + '/', 'data/weights/')
    text = json.dumps([base, dict(run.suite.lines), dict(run.method.lines)], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
