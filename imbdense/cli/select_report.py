"""One HTML file about a selection: classes, a map of the pool, the chosen images by class and cluster.

  imbdense select report sel.json --pool pool --images photos/ --out selection.html

Without --images the page has no pictures.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imbdense.cli._outputs import keep_inputs
from imbdense.cli.main import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Selection, pool, images, page."""
    parser.add_argument('selection', type=Path, help='sel.json of `imbdense select run`')
    parser.add_argument('--pool', type=Path, required=True, metavar='DIR', help='it was chosen from')
    parser.add_argument('--images', type=Path, metavar='DIR', help='folder that the image ids are relative to')
    parser.add_argument('--out', type=Path, default=Path('selection.html'), metavar='FILE', help='(selection.html)')


def run(args: argparse.Namespace) -> int:
    """Write the page; 0."""
    from imbdense.data.object_pool import PoolError, open_pool
    from imbdense.data.selection import SelectionError, read_selection
    from imbdense.report.selection_page import selection_page
    from imbdense.utils.files import FileWriteError, atomic_write_text

    keep_inputs(args.out, args.selection)
    try:
        record, pool = read_selection(args.selection), open_pool(args.pool)
        if record['pool']['fingerprint'] != pool.fingerprint:
            raise UserError(f'{args.selection} was chosen from another pool (fingerprint '
                            f'{record["pool"]["fingerprint"]}) than {args.pool} ({pool.fingerprint}).')
        if args.images is not None:
            check_images(record, args.images)
        text = selection_page(record, pool, args.images)
        atomic_write_text(args.out, text)
    except (SelectionError, PoolError, FileWriteError) as error:
        raise UserError(str(error)) from error
    print(f'{args.out} ({len(text) / 1e6:.1f} MB)')
    return 0


def check_images(record: Mapping[str, Any], folder: Path) -> None:
    """Say which pictures will be missing on the page.

    Raises:
        UserError: there is no such folder, or none of the images is in it.
    """
    if not folder.is_dir():
        raise UserError(f'--images: there is no folder {folder}.')
    names = [str(entry['image_id']) for entry in record['records']]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing and len(missing) == len(names):
        raise UserError(f'--images {folder} holds none of the {len(names)} chosen images, for example {missing[0]}. '
                        f'Give the folder that these names are relative to, or leave out --images: a page without '
                        f'pictures.')
    if missing:
        print(f'{len(missing)} of {len(names)} images are not in {folder}, for example {missing[0]}; the page says so '
              f'in their place.', file=sys.stderr)
