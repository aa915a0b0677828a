"""Make kinds of change of a prepared data set of pairs with land cover, to learn them directly.

  imbdense prepare change-kinds data/dubai_scd_semisynthetic --by to --out data/dubai_scd_kinds       what it became
  imbdense prepare change-kinds data/dubai_scd_semisynthetic --by from_to --out data/dubai_scd_from_to
  imbdense prepare change-kinds data/habitalp --by kinds.csv --names none loss gain --out data/habitalp_kinds

The result is a data set of its own in the same layout: images, land cover and splits are links, change maps hold 0
(unchanged) and the kinds, 255 where the land cover of a changed pixel is unknown; their names are in dataset.json.
Counts, samplers, checks and `imbdense.ChangePairDataset(data_root=...)` (mode 'direct') need nothing else.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command."""
    parser.add_argument('source', type=Path, help='the prepared data set')
    parser.add_argument('--by', required=True, metavar='RULE', help="'to' (what a pixel became), 'from_to' (every "
                        "transition that occurs), 'alpine', or a CSV file of kinds by class before (row) and after")
    parser.add_argument('--names', nargs='+', default=[], help='of the kinds of a CSV file, from 0 = unchanged on')
    parser.add_argument('--out', type=Path, required=True, help='folder to fill')
    parser.add_argument('--copy', action='store_true', help='copy instead of linking to the source')


def run(args: argparse.Namespace) -> int:
    """Write the data set and say how frequent each kind is."""
    from imbdense.cli.main import UserError
    from imbdense.cli.prepare import show_progress
    from imbdense.data.prepare import PrepareError, prepare
    from imbdense.data.prepare.change_kinds import change_kinds_recipe

    try:
        job = prepare(change_kinds_recipe(args.by, args.names), args.source, args.out, copy=args.copy,
                      progress=show_progress)
    except (PrepareError, OSError) as error:
        raise UserError(str(error)) from error
    for note in job.notes:
        print(f'  {note}')
    print(f'kinds of change are in {args.out}.')
    return 0
