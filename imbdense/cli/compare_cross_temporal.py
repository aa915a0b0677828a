"""Models trained on one date and tested on another: scores of every pair of dates, and what is lost on the way.

  imbdense compare cross-temporal 2013:2013=work_dirs/home 2013:2020=work_dirs/away 2020:2020=work_dirs/late

Before the = stand the date of training and the date of the test, behind it an evaluation with imbdense.ConfusionMetric:
a work dir, or one of its files imbdense/<split>_<step>_confusion.json. A drop compares with the model trained on the
test date itself. Use the same split of the area at all dates; otherwise places differ as well as dates.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

from imbdense.cli._evaluations import read_artifacts
from imbdense.cli.main import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb's part."""
    parser.add_argument('pairs', nargs='+', metavar='TRAIN:TEST=PATH', help='evaluations with their dates')
    parser.add_argument('--out', type=Path, metavar='FILE.json', help='also write scores and drops to this file')


def run(args: argparse.Namespace) -> int:
    """Print a table of train date x test date per score."""
    from rich.console import Console
    from rich.table import Table

    from imbdense.core.metrics.cross_temporal import cross_temporal
    from imbdense.utils.files import FileWriteError, atomic_write_json

    found = cross_temporal(dict(_read(text) for text in args.pairs))
    for name, matrix in found.scores.items():
        table = Table(title=f'{name}, % (drop against training on the test date)', title_justify='left')
        table.add_column('trained on')
        for date in found.test:
            table.add_column(f'tested on {date}', justify='right')
        for row, date in enumerate(found.train):
            table.add_row(date, *(_cell(matrix[row, k], found.drops[name][row, k]) for k in range(len(found.test))))
        Console(width=140).print(table)
    if args.out:
        record = {
            'train': found.train, 'test': found.test,
            'scores': {name: _plain(matrix) for name, matrix in found.scores.items()},
            'drops': {name: _plain(matrix) for name, matrix in found.drops.items()},
        }  # fmt: skip
        try:
            atomic_write_json(args.out, record)
        except FileWriteError as error:
            raise UserError(str(error)) from error
        print(f'scores written to {args.out}')
    return 0


def _read(text: str) -> tuple[tuple[str, str], np.ndarray]:
    """((train date, test date), confusion table) of 'TRAIN:TEST=PATH'."""
    dates, _, path = text.partition('=')
    before, _, after = dates.partition(':')
    if not (before and after and path):
        raise UserError(f'{text!r} is not of the form TRAIN:TEST=PATH, for example 2013:2020=work_dirs/away.')
    artifacts = read_artifacts(Path(path))
    if 'confusion' not in artifacts:
        raise UserError(f'{path} holds {sorted(artifacts)}, but no confusion table. Evaluate with ConfusionMetric.')
    return (before, after), np.asarray(artifacts['confusion']['table'], dtype=np.int64)


def _cell(value: float, drop: float) -> str:
    """'41.2 (−10.0)' in percent."""
    if math.isnan(value):
        return '–'
    return f'{100 * value:.1f}' + ('' if math.isnan(drop) or drop == 0 else f' ({-100 * drop:+.1f})')


def _plain(matrix: np.ndarray) -> list[list[float | None]]:
    """NaN as ``None``."""
    return [[None if math.isnan(value) else value for value in row] for row in matrix.tolist()]
