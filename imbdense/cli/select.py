"""Choose images to label, by the objects in them.

  imbdense select pool CONFIG CKPT --images photos/ --source pred --out pool      objects and features of all images
  imbdense select run selector.py --pool pool --budget 200 --out sel.json         choose 200 of them
  imbdense select apply sel.json --ann annotations.json --out subset.json         the annotations of the chosen ones
  imbdense select report sel.json --pool pool --images photos/ --out sel.html     what was chosen, and why

Each part has its own --help.
"""

from __future__ import annotations

import argparse

from imbdense.cli.main import UserError

PARTS = {
    'pool': 'imbdense.cli.select_pool',
    'run': 'imbdense.cli.select_run',
    'apply': 'imbdense.cli.select_apply',
    'report': 'imbdense.cli.select_report',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The parts; their modules parse the rest."""
    parser.add_argument('part', choices=list(PARTS), metavar='PART', help=', '.join(PARTS))


def run(args: argparse.Namespace) -> int:
    """A part has a module of its own, so only a part that does not come first ends here."""
    raise UserError(f'write the part first: imbdense select {args.part} ...')
