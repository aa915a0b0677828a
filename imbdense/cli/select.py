"""Choose images to label, by the objects in them.

  imbdense select pool CONFIG CKPT --images photos/ --source pred --out pool      objects and features of all images
  imbdense select run selector.py --pool pool --budget 200 --out sel.json         choose 200 of them
  imbdense select apply sel.json --ann annotations.json --out subset.json         the annotations of the chosen ones

Each part has its own --help.
"""

from __future__ import annotations

import argparse

PARTS = {
    'pool': 'imbdense.cli.select_pool',
    'run': 'imbdense.cli.select_run',
    'apply': 'imbdense.cli.select_apply',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The parts; their modules parse the rest."""
    parser.add_argument('part', choices=list(PARTS), metavar='PART', help=', '.join(PARTS))


def run(args: argparse.Namespace) -> int:
    """Never reached: the parser ends without a part, and a part has a module of its own."""
    return 2
