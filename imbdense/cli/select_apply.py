"""Write the annotations of the chosen images alone.

  imbdense select apply sel.json --ann annotations/train.json --out annotations/chosen.json     COCO subset
  imbdense select apply sel.json --ann splits/train.txt --out splits/chosen.txt                 split file of mmseg
  imbdense select apply sel.json --out to_label.txt                                             list in order of choice
"""

from __future__ import annotations

import argparse
from pathlib import Path

from imbdense.cli._outputs import keep_inputs
from imbdense.cli.main import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Selection, annotations, result."""
    parser.add_argument('selection', type=Path, help='sel.json of `imbdense select run`')
    parser.add_argument('--ann', type=Path, metavar='FILE', help='COCO json, or text file with one name per line')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE', help='what to write')


def run(args: argparse.Namespace) -> int:
    """Write the subset; 0."""
    from imbdense.data.readers.errors import LabelReadError
    from imbdense.data.selection import SelectionError, apply_selection
    from imbdense.utils.files import FileWriteError

    keep_inputs(args.out, args.selection, args.ann)
    try:
        count = apply_selection(args.selection, args.ann, args.out)
    except (SelectionError, LabelReadError, FileWriteError) as error:
        raise UserError(str(error)) from error
    print(f'{count} images written to {args.out}')
    return 0
