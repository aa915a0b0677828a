"""What the comparison grids of suites share: options, data, runs, page and picture.

A grid is a number of suites, each with methods as config lines on one base config, trained with several seeds.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from imbdense.benchmark.cells import restore_cells, write_cells
from imbdense.benchmark.grid import run_all
from imbdense.benchmark.runs import Run, plan
from imbdense.benchmark.suite_figure import draw_suites
from imbdense.benchmark.suites import Suite
from imbdense.benchmark.summary import markdown_table
from imbdense.cli._numbers import seed_number, whole
from imbdense.cli._runner import make_folder
from imbdense.utils.files import atomic_write_text
from imbdense.utils.paths import configs_dir


def add_grid_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Options of the verb ``imbdense benchmark <name>``."""
    parser.add_argument('--suite', nargs='+', help='suites to run (default: all; see --list)')
    parser.add_argument('--list', action='store_true', help='list the suites and methods and stop')
    parser.add_argument('--seeds', nargs='+', type=seed_number, default=[0, 1, 2], help='seeds (default: 0 1 2)')
    parser.add_argument('--jobs', type=whole(1), default=max(1, (os.cpu_count() or 2)), help='trainings at a time')
    parser.add_argument('--work-dir', type=Path, default=Path(f'work_dirs/{name}'), help='where the runs live')
    parser.add_argument('--sources', default=os.environ.get('IMBDENSE_SHARED_DATA', '../shared/data'),
                        help='folder with the downloaded data sets (default: $IMBDENSE_SHARED_DATA)')
    parser.add_argument('--markdown', type=Path, help=f'write the tables to this file (docs/benchmarks/{name}.md)')
    parser.add_argument('--cells', type=Path, help='JSON with the scores of every training, such as '
                        f'docs/benchmarks/{name}.json: what is in it is not run again, what is new is added')
    parser.add_argument('--figure', type=Path, help=f'write a picture of them, PNG (docs/images/{name}.png)')


def run_suites(args: argparse.Namespace, all_suites: Mapping[str, Suite], intro: Sequence[str]) -> int:
    """Run what is missing, print and write the tables; exit code 1 when a run failed."""
    suites = [all_suites[name] for name in chosen_names(args, all_suites)]
    if args.list:
        for suite in suites:
            print(f'{suite.name}: {suite.config} ({", ".join(method.name for method in suite.methods)})')
        return 0
    make_folder(args.work_dir, 'the work dir', '--work-dir')
    shared_weights(args.sources)
    for suite in suites:
        prepare_data(suite, args.sources)
    runs = plan(suites, args.seeds, args.work_dir)
    known_cells(args, runs)
    failed = run_all(runs, configs_dir(), jobs=args.jobs, report=print)
    write_results(args, suites, runs, intro)
    return 1 if failed else 0


def chosen_names(args: argparse.Namespace, known: Collection[str]) -> list[str]:
    """What ``--suite`` names, all without it; an unknown name is an error that lists the known ones."""
    from imbdense.cli.main import UserError

    unknown = sorted(set(args.suite or []) - set(known))
    if unknown:
        raise UserError(f'there is no suite {unknown}; the suites are {sorted(known)}.')
    return list(args.suite or known)


def shared_weights(sources: str) -> None:
    """Take the pretrained weights of the shared folder, unless the environment names others."""
    weights = Path(sources) / 'weights'
    if weights.is_dir():
        os.environ.setdefault('IMBDENSE_WEIGHTS', str(weights))


def known_cells(args: argparse.Namespace, runs: Sequence[Run]) -> None:
    """Take over the cells of ``--cells``."""
    from imbdense.cli.main import UserError

    if args.cells:
        try:
            print(f'{restore_cells(args.cells, runs, configs_dir())} cells taken from {args.cells}')
        except ValueError as error:
            raise UserError(f'--cells: {error}') from None


def write_results(
    args: argparse.Namespace, suites: Sequence[Suite], runs: Sequence[Run], intro: Sequence[str]
) -> None:
    """Print the page, and write page, picture and cells where asked."""
    page = suites_page(suites, runs, intro)
    print(page)
    if args.cells:
        write_cells(args.cells, runs, configs_dir())
    if args.markdown:
        atomic_write_text(args.markdown, page)
    if args.figure:
        draw_suites(suites, runs, args.figure)


def prepare_data(suite: Suite, sources: str = '') -> None:
    """Make the data of a suite when they are absent; ``sources`` replaces '{sources}' in the commands."""
    for folder, command in {suite.data_root: suite.prepare, **suite.more_data}.items():
        if folder and not Path(folder).exists():
            _make(suite.name, folder, command, sources)


def _make(suite: str, folder: str, command: Sequence[str], sources: str) -> None:
    """Make one data set."""
    from imbdense.cli.main import UserError, run_verb

    if not command:
        raise UserError(f'suite {suite}: {folder} is absent; see datasets/README.md.')
    verb, *arguments = (word.replace('{sources}', sources) for word in command)
    if run_verb(verb, arguments) != 0:
        raise UserError(f'suite {suite}: `imbdense {" ".join(command)}` failed.')


def suites_page(suites: Sequence[Suite], runs: Sequence[Run], intro: Sequence[str]) -> str:
    """The markdown page: ``intro``, then per suite the table and config lines of the methods that have been run."""
    parts = [*intro, '', f'Machine: {platform.machine()}, {os.cpu_count()} cores, no GPU.']
    for suite in suites:
        finished = {run.method.name for run in runs if run.suite is suite and run.result() is not None}
        if not finished:
            continue
        parts += ['', f'## {suite.name}', '', suite.note, '', markdown_table(suite, runs), '']
        for method in suite.methods:
            if method.name not in finished:
                continue
            parts.append(f'* **{method.name}** – {method.why}')
            parts += [f'  * `{path} = {value!r}`' for path, value in method.lines.items()]
    return '\n'.join(parts) + '\n'
