"""Say what is installed, what really works, which combinations are known to be bad, and the command that mends each.

Every library is tried in a process of its own, so one that crashes on import cannot stop the examination.
Exit code: 0 if all groups named by --require work, 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from imbdense.utils import combinations, probes
from imbdense.utils.versions import module_version

GROUPS = ('base', 'mm', 'geo', 'points', 'change3d', 'sparse', 'aug', 'fast', 'medical', 'dev')
"""Extras of setup.py that can be examined."""
COLOURS = {'works': 'green', 'absent': 'yellow', 'broken': 'red', 'crashed': 'red', 'timeout': 'red'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``imbdense doctor``."""
    parser.add_argument('--json', action='store_true', help='print one JSON object instead of the table')
    parser.add_argument('--require', nargs='+', choices=GROUPS, default=['base'], metavar='GROUP',
                        help=f'groups that must work for exit code 0, of: {" ".join(GROUPS)} (default: base)')


def run(args: argparse.Namespace) -> int:
    """Examine, print, and return 0 if the required groups work."""
    report = examine(probes.run_probes(), args.require)
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        show(report)
    return 0 if report['ok'] else 1


def examine(outcomes: Sequence[probes.Outcome], required: Sequence[str]) -> dict[str, Any]:
    """The findings as plain data: ``ok``, ``python``, ``platform``, ``groups``, ``libraries``, ``problems``."""
    found = combinations.installed(outcomes)
    known = combinations.problems(found)
    known += combinations.unexplained(found, known)
    groups = {group: all(outcome.works for outcome in outcomes if outcome.probe.group == group) for group in GROUPS}
    return {
        'ok': all(groups[group] for group in required),
        'python': f'{platform.python_version()} ({sys.executable})',
        'platform': f'{platform.platform()}, {os.cpu_count()} cores',
        'groups': groups,
        'required': list(required),
        'libraries': [library(outcome) for outcome in outcomes],
        'problems': [{**asdict(problem), 'cure': command(problem.cure)} for problem in known],
    }


def library(outcome: probes.Outcome) -> dict[str, Any]:
    """One row: what was tried, which version, what came of it, and the command if it is absent."""
    return {
        'name': outcome.probe.label,
        'group': outcome.probe.group,
        'version': module_version(outcome.probe.module) or '',
        'state': outcome.state,
        'detail': outcome.detail,
        'purpose': outcome.probe.purpose,
        'install': command(outcome.probe.install) if outcome.state == 'absent' else '',
        'seconds': round(outcome.seconds, 2),
    }


def command(text: str) -> str:
    """``pip ...`` spelled for exactly this interpreter, so that the command can be copied as it stands."""
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    return re.sub(r'\bpip (?=install|uninstall)', lambda _: f'{python} -m pip ', text)


def show(report: dict[str, Any]) -> None:
    """Print the report: a table, the absent libraries with their commands, the problems with their cures."""
    print(f'Python {report["python"]} on {report["platform"]}')
    _table(report['libraries'])
    absent = [row for row in report['libraries'] if row['state'] == 'absent']
    if absent:
        print('\nNot installed:')
        for row in absent:
            print(f'  - {row["name"]} ({row["purpose"]})\n  -> {row["install"]}')
    if report['problems']:
        print('\nTo mend, in this order:')
        for problem in report['problems']:
            print(f'  ! {problem["title"]}. {problem["why"]}\n  -> {problem["cure"]}')
    working = [group for group, works in report['groups'].items() if works]
    print(f'\nWorks: {", ".join(working) or "nothing"}.', end=' ')
    lacking = [group for group in report['required'] if group not in working]
    print(f'Needed and not working: {", ".join(lacking)}.' if lacking else
          f'What is needed ({", ".join(report["required"])}) works.')


def _table(rows: Sequence[dict[str, Any]]) -> None:
    """A rich table; plain columns where rich itself is what is missing."""
    columns = ('name', 'version', 'state', 'detail', 'purpose')
    try:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table
    except ImportError:
        for row in rows:
            print('  '.join(f'{row[column]:<18}' for column in columns))
        return
    table = Table(box=None, header_style='bold')
    for title in ('library', 'version', 'state', 'what was seen', 'used for'):
        table.add_column(title, overflow='fold')
    for row in rows:
        colour = COLOURS[row['state']]
        cells = [escape(str(row[column])) for column in columns]
        table.add_row(*(f'[{colour}]{cell}[/]' if column == 'state' else cell for column, cell in zip(columns, cells)))
    Console().print(table)
