"""Make another checkpoint of a finished one, without training.

  imbdense convert tau-norm CONFIG CHECKPOINT --tau 0.7 --out normed.pth   a classifier with lengths that do not favour
  imbdense convert tau-norm CONFIG CHECKPOINT --search --out normed.pth    the frequent classes
  imbdense convert network CHECKPOINT --out plain.pth     the teacher (or student, or peer) of a semi-supervised
                                                          training, for the plain config

`imbdense convert NAME --help` tells the options of each.
"""

from __future__ import annotations

import argparse

PARTS = {'tau-norm': 'imbdense.cli.convert_tau_norm', 'network': 'imbdense.cli.convert_network'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The name of the conversion; its options are parsed by its own module."""
    parser.add_argument('name', choices=list(PARTS), help='what to make')


def run(args: argparse.Namespace) -> int:
    """A conversion is always a part of its own; the parser has refused every other name."""
    raise AssertionError(args.name)
