"""Take one network out of the checkpoint of a teacher-student training; it loads into the plain config.

  imbdense convert network work_dirs/semi/iter_40000.pth --out teacher.pth
  imbdense convert network work_dirs/semi/iter_40000.pth --network student --out student.pth
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the conversion."""
    from imbdense.mm.network_state import NETWORKS

    parser.add_argument('checkpoint', help='the .pth file')
    parser.add_argument('--network', choices=NETWORKS, default='teacher', help='which one (teacher)')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE.pth', help='the new checkpoint')


def run(args: argparse.Namespace) -> int:
    """Write the network with the metadata of the checkpoint, so that class names stay known."""
    import torch

    from imbdense.cli.main import UserError
    from imbdense.mm.checkpoints import load_checkpoint
    from imbdense.mm.network_state import network_state
    from imbdense.utils.files import atomic_open

    content = load_checkpoint(args.checkpoint)
    try:
        weights = network_state(content, args.network)
    except ValueError as error:
        raise UserError(f'{args.checkpoint}: {error}') from error
    with atomic_open(args.out) as handle:
        torch.save({'state_dict': weights, 'meta': content.get('meta', {})}, handle)
    print(f'{args.network}, {len(weights)} tensors: {args.out}')
    return 0
