"""Find faults of a data set before training: label values, sizes, missing pairs, colour masks, empty labels, the same
image in two splits, reduce_zero_label mistakes, boxes outside the image, broken files. Each finding names the file.

  imbdense check configs/segmentation/my_config.py
  imbdense check data/scenes --json findings.json
  imbdense check annotations/train.json --strict
  imbdense check pool CONFIG CHECKPOINT --unlabelled FOLDER     is the unlabelled pool worth using? (--help tells more)

Exit code: 0 clean (warnings allowed unless --strict), 1 errors found, 2 the data set could not be opened.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import TYPE_CHECKING

from imbdense.cli._numbers import whole
from imbdense.cli._splits import add_source_arguments, open_splits
from imbdense.cli.main import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from imbdense.data.finding import Finding

PARTS = {'pool': 'imbdense.cli.check_pool'}
STYLES = {'error': 'bold red', 'warning': 'yellow', 'note': 'dim'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    add_source_arguments(parser)
    parser.add_argument('--json', metavar='FILE', help="write all findings there ('-' = to the standard output)")
    parser.add_argument('--max', type=whole(0), default=5, metavar='N', help='findings shown per kind (default 5)')
    parser.add_argument('--strict', action='store_true', help='warnings count as errors')
    parser.add_argument('--workers', type=whole(0), metavar='N', help='processes; default all CPUs, 0 = none')


def run(args: argparse.Namespace) -> int:
    """Check, print, write."""
    from rich.console import Console

    from imbdense.data.checks import check_splits

    splits = open_splits(args)
    messages = Console(stderr=True, highlight=False)
    found = check_splits(splits, workers=args.workers, progress=lambda text: messages.print(f'[dim]{text}[/dim]'))
    failed = any(finding.severity == 'error' or (args.strict and finding.severity == 'warning') for finding in found)
    if args.json:
        _write(args.json, found, failed)
    if args.json != '-':
        _print(Console(highlight=False), found, args.max)
    return int(failed)


def _print(console: Console, found: list[Finding], limit: int) -> None:
    """Findings by kind, at most ``limit`` of each, and a closing line."""
    from rich.markup import escape

    shown: Counter[tuple[str, str]] = Counter()
    totals = Counter((finding.severity, finding.code) for finding in found)
    for finding in found:
        kind = (finding.severity, finding.code)
        shown[kind] += 1
        if shown[kind] <= limit:
            where = escape(finding.file or 'the whole split') + (f' ({finding.split})' if finding.split else '')
            head = f'[{STYLES[finding.severity]}]{finding.severity} {finding.code}[/]'
            console.print(f'{head} {where}\n    {escape(finding.message)} {escape(finding.cure)}', soft_wrap=True)
        elif shown[kind] == limit + 1:
            console.print(f'    ... and {totals[kind] - limit} more of this kind (--max, --json)', style='dim')
    number = Counter(finding.severity for finding in found)
    if not found:
        console.print('[green]no faults found[/green]')
    else:
        console.print(', '.join(f'{number[name]} {name}s' for name in STYLES))


def _write(target: str, found: list[Finding], failed: bool) -> None:
    """All findings as JSON."""
    import json

    from imbdense.utils.files import FileWriteError, atomic_write_json

    record = {'failed': failed, 'findings': [finding.to_dict() for finding in found]}
    if target == '-':
        json.dump(record, sys.stdout, indent=1)
        sys.stdout.write('\n')
        return
    try:
        atomic_write_json(target, record)
    except FileWriteError as error:
        raise UserError(str(error)) from error
