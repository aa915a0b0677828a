"""Is one model really better than another? Differences of change scores with intervals from resampled blocks.

  imbdense compare work_dirs/baseline work_dirs/ours
  imbdense compare baseline/imbdense/test_8000_change.json ours/imbdense/test_8000_change.json --out differences.json
  imbdense compare clouds 2019.laz 2023.laz --out change.laz      (distances of two point clouds: M3C2, C2C, DSM)
  imbdense compare cross-temporal 2013:2013=work_dirs/a 2013:2020=work_dirs/b     (train date : test date)

Both must be evaluations of the same set by a metric with ci=dict(...), which keeps the sums of every block of space.
The same blocks are drawn for both, so what is hard for both does not blur the difference. An interval that does not
hold 0 is marked with *. Many scores are looked at: of 20 true zeros one is marked at 95 %.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np

from imbdense.cli._evaluations import read_artifacts
from imbdense.cli._numbers import seed_number
from imbdense.cli.main import UserError

PARTS = {'clouds': 'imbdense.cli.compare_clouds', 'cross-temporal': 'imbdense.cli.compare_cross_temporal'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument('baseline', type=Path, help='evaluation file or work dir of the model to compare with')
    parser.add_argument('other', type=Path, help='evaluation file or work dir of the other model')
    parser.add_argument('--n-boot', type=int, default=1000, help='resamples (default: 1000)')
    parser.add_argument('--seed', type=seed_number, default=0, help='of the resamples (default: 0)')
    parser.add_argument('--alpha', type=float, default=0.05, help='intervals cover 1 - alpha (default: 0.05)')
    parser.add_argument('--out', type=Path, metavar='FILE.json', help='also write the differences to this file')


def run(args: argparse.Namespace) -> int:
    """Print a table per kind of evaluation that both have."""
    from imbdense.core.metrics.block_bootstrap import SpatialBlockBootstrap
    from imbdense.utils.files import FileWriteError, atomic_write_json

    try:
        bootstrap = SpatialBlockBootstrap(args.n_boot, args.seed, args.alpha)
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from error
    sides = [read_artifacts(path) for path in (args.baseline, args.other)]
    kinds = [kind for kind in sides[0] if kind in sides[1] and all(side[kind].get('blocks') for side in sides)]
    if not kinds:
        raise UserError(
            f'{args.baseline} and {args.other} have no evaluation with blocks in common (found {sorted(sides[0])} and '
            f'{sorted(sides[1])}). Evaluate both with imbdense.SCDMetric, BCDMetric or PostClassificationMetric and '
            f'ci=dict(n_boot=1000).'
        )
    records = {kind: differences(sides[0][kind], sides[1][kind], bootstrap) for kind in kinds}
    for kind in kinds:
        show(kind, records[kind], args, len(sides[0][kind]['blocks']['ids']))
    if args.out:
        try:
            head = {'baseline': str(args.baseline), 'other': str(args.other)}
            head |= {'n_boot': args.n_boot, 'seed': args.seed, 'alpha': args.alpha}
            atomic_write_json(args.out, {**head, **records})
        except FileWriteError as error:
            raise UserError(str(error)) from error
        print(f'differences written to {args.out}')
    return 0


def differences(baseline: dict[str, Any], other: dict[str, Any], bootstrap: Any) -> list[dict[str, Any]]:
    """Records ``score, baseline, other, difference, low, high`` of two artefacts; undefined numbers are ``None``.

    Raises:
        UserError: the blocks or the rules of the two differ.
    """
    from imbdense.core.metrics.change_blocks import scores_of_sums

    ours, theirs = other['blocks'], baseline['blocks']
    if ours['ids'] != theirs['ids']:
        only = sorted(set(ours['ids']) ^ set(theirs['ids']))[:3]
        raise UserError(
            f'the two were evaluated on different blocks ({len(theirs["ids"])} and {len(ours["ids"])}; only in one: '
            f'{only}). Compare evaluations of one set, with the same ci block.'
        )
    if ours.get('options') != theirs.get('options'):
        raise UserError(f'the two follow different rules: {theirs.get("options")} and {ours.get("options")}.')
    names = [name for name in theirs['sums'] if name in ours['sums']]
    packed = [{name: np.asarray(side['sums'][name], dtype=np.int64) for name in names} for side in (ours, theirs)]
    options = ours.get('options') or {}
    found = bootstrap.paired(*packed, lambda sums: scores_of_sums(sums, **options))
    rows = []
    for score, (difference, low, high) in found.items():
        values = [_number(side['scalars'].get(score)) for side in (baseline, other)]
        rows.append({'score': score, 'baseline': values[0], 'other': values[1],
                     'difference': _number(difference), 'low': _number(low), 'high': _number(high)})  # fmt: skip
    return rows


def show(kind: str, records: list[dict[str, Any]], args: argparse.Namespace, blocks: int) -> None:
    """Print one table in percent points."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f'{kind}: {args.other} − {args.baseline}, percent points', title_justify='left')
    for name in ('score', 'baseline', 'other', 'difference', f'{100 * (1 - args.alpha):g} % interval', ''):
        table.add_column(name, justify='left' if name == 'score' else 'right')
    for record in records:
        if record['baseline'] is None or record['other'] is None:
            continue
        ends = (record['low'], record['high'])
        sure = None not in ends and not ends[0] <= 0 <= ends[1]
        table.add_row(
            record['score'], *(_percent(record[key]) for key in ('baseline', 'other')),
            _percent(record['difference'], sign=True), ' to '.join(_percent(end, sign=True) for end in ends),
            '*' if sure else '',
        )  # fmt: skip
    Console(width=140).print(table)
    print(f'{blocks} blocks, {args.n_boot} resamples, seed {args.seed}')
    if blocks < 20:
        print(f'{blocks} blocks are few: intervals are too narrow and unsure themselves.')


def _percent(value: float | None, *, sign: bool = False) -> str:
    """Two digits, 'n/a' where undefined."""
    if value is None:
        return 'n/a'
    return f'{100 * value:+.2f}' if sign else f'{100 * value:.2f}'


def _number(value: Any) -> float | None:
    """A finite number or ``None``."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
