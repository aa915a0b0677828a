"""One HTML file about a selection: classes, a map of the pool, the chosen images by class and cluster.

  imbdense select report sel.json --pool pool --images photos/ --out selection.html

Without --images the page has no pictures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

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

    try:
        record, pool = read_selection(args.selection), open_pool(args.pool)
        if record['pool']['fingerprint'] != pool.fingerprint:
            raise UserError(f'{args.selection} was chosen from another pool (fingerprint '
                            f'{record["pool"]["fingerprint"]}) than {args.pool} ({pool.fingerprint}).')
        if args.images is not None and not args.images.is_dir():
            raise UserError(f'--images: there is no folder {args.images}.')
        text = selection_page(record, pool, args.images)
        atomic_write_text(args.out, text)
    except (SelectionError, PoolError, FileWriteError) as error:
        raise UserError(str(error)) from error
    print(f'{args.out} ({len(text) / 1e6:.1f} MB)')
    return 0
