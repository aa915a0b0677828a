"""One self-contained HTML file about one or several work dirs: what happened to the rare classes, and why.

  imbdense report work_dirs/baseline work_dirs/rebalanced --out report.html

Runs that differ only in their seed become one experiment with intervals. The first experiment is the baseline.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument('work_dirs', nargs='+', type=Path, metavar='WORK_DIR', help='work dirs of trainings or tests')
    parser.add_argument(
        '--out', type=Path, default=Path('report.html'), help='HTML file to write (default: report.html)'
    )
    parser.add_argument('--title', help='heading of the page')
    parser.add_argument(
        '--group-by', metavar='REGEX', help='group runs by this part of the work dir name instead of by config'
    )
    parser.add_argument(
        '--baseline', metavar='NAME', help='experiment the others are compared with (default: the first)'
    )
    parser.add_argument('--figure', type=Path, metavar='PNG', help='also write the main result as a small picture')


def run(args: argparse.Namespace) -> int:
    """Write the report and say where it is."""
    from imbdense.cli.main import UserError
    from imbdense.report.build import load_story, render
    from imbdense.utils.files import FileWriteError, atomic_write_text

    try:
        story = load_story(args.work_dirs, group_by=args.group_by, baseline=args.baseline)
        text = render(story, args.title)
        atomic_write_text(args.out, text)
        if args.figure:
            from imbdense.report.figure import write_figure

            write_figure(story, args.figure)
    except (ValueError, FileWriteError) as error:
        raise UserError(str(error)) from error
    for item in story.runs:
        for warning in item.warnings:
            print(f'warning: {item.path}: {warning}')
    shown = ', '.join(experiment.label for experiment in story.experiments)
    print(f'{args.out} ({len(text) / 1e6:.1f} MB): {shown}')
    if args.figure:
        print(f'{args.figure}')
    return 0
