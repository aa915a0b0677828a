"""Bring a downloaded data set into the layout of the configs (images/, labels/, annotations/ per split).

  imbdense prepare list
  imbdense prepare bccd ../shared/data/bccd --out data/bccd
  imbdense prepare change-kinds data/second --by to --out data/second_kinds      kinds of change (--help tells more)

The source is only read; files are linked unless --copy is given. An interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from pathlib import Path

PARTS = {'change-kinds': 'imbdense.cli.prepare_change_kinds'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument('name', help="data set, or 'list'")
    parser.add_argument(
        'source',
        nargs='?',
        type=Path,
        help='the downloaded folder (default: NAME in $IMBDENSE_SHARED_DATA or in ../shared/data)',
    )
    parser.add_argument('--out', type=Path, help='folder to fill (default: data/NAME)')
    parser.add_argument('--copy', action='store_true', help='copy instead of linking to the source')
    parser.add_argument('--tile', type=int, metavar='PX', help='window size of data sets that are cut')
    parser.add_argument('--overlap', type=int, metavar='PX', help='overlap of neighbouring windows')


def run(args: argparse.Namespace) -> int:
    """Prepare one data set and say what came out."""
    from imbdense.cli.main import UserError
    from imbdense.data.prepare import RECIPE_MODULES, PrepareError, prepare, recipe

    if args.name == 'list':
        width = max(map(len, RECIPE_MODULES))
        for name in RECIPE_MODULES:
            print(f'{name:<{width}} {recipe(name).summary}')
        return 0
    if args.name not in RECIPE_MODULES:
        near = difflib.get_close_matches(args.name, RECIPE_MODULES, n=3)
        hint = f'Did you mean {" or ".join(near)}?' if near else '`imbdense prepare list` shows all.'
        raise UserError(f'there is no recipe {args.name!r}. {hint}')
    chosen = recipe(args.name)
    args.source = args.source or _usual_place(args.name)
    if args.source is None:
        raise UserError(
            f'tell where {args.name} lies: imbdense prepare {args.name} SOURCE. Expected layout:\n{chosen.layout}\n'
            f'Get the data from: {chosen.home}.'
        )
    if args.tile is not None and args.tile < 1:
        raise UserError(f'--tile must be at least 1 pixel, but is {args.tile}.')
    out = args.out or Path('data') / args.name
    try:
        job = prepare(chosen, args.source, out, copy=args.copy, tile=args.tile, overlap=args.overlap,
                      progress=show_progress)
    except (PrepareError, OSError) as error:
        raise UserError(str(error)) from error
    for note in job.notes:
        print(f'  {note}')
    print(f'{args.name} is in {out}. Next: imbdense stats and imbdense check on a config that uses it.')
    return 0


def _usual_place(name: str) -> Path | None:
    """``$IMBDENSE_SHARED_DATA/NAME`` or ``../shared/data/NAME``, where the small sets may lie beside the checkout."""
    root = Path(os.environ.get('IMBDENSE_SHARED_DATA') or '../shared/data')
    return root / name if (root / name).is_dir() else None


def show_progress(done: int, total: int, what: str) -> None:
    """One progress line on a terminal; the end of each part elsewhere."""
    if sys.stderr.isatty():
        end = '\n' if done == total else ''
        print(f'\r  {what}: {done}/{total}', end=end, file=sys.stderr, flush=True)
    elif done == total:
        print(f'  {what}: {done}/{total}', file=sys.stderr)
