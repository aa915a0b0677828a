"""imbdense benchmark demo: what `make train` runs.

Generates the embedded aerial data set, trains a plain and a rebalanced segmentor with the same budget, evaluates both
and writes one HTML report. Everything is kept in the work dir and nothing finished is done twice, so an interrupted
demo goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from imbdense.benchmark.grid import run_all
from imbdense.benchmark.runs import plan
from imbdense.benchmark.summary import markdown_table
from imbdense.cli._numbers import seed_number, whole
from imbdense.cli._runner import make_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo'), help='where runs and report go')
    parser.add_argument('--seeds', nargs='+', type=seed_number, default=[0], help='seeds to train (default: 0)')
    parser.add_argument('--jobs', type=whole(1), default=min(2, os.cpu_count() or 1), help='trainings at a time')


def run(args: argparse.Namespace) -> int:
    """Generate, train, evaluate, report; exit code 1 when a training failed."""
    from imbdense.benchmark.proof_suites import DEMO
    from imbdense.benchmark.suite_grid import prepare_data
    from imbdense.cli.main import run_verb
    from imbdense.utils.paths import configs_dir

    make_folder(args.work_dir, 'the work dir', '--work-dir')
    start = time.monotonic()
    print('1/3  aerial scenes with rare objects', flush=True)
    prepare_data(DEMO)
    print(f'2/3  training {" and ".join(m.name for m in DEMO.methods)} with the same budget', flush=True)
    runs = plan([DEMO], args.seeds, args.work_dir)
    failed = run_all(runs, configs_dir(), jobs=args.jobs, report=lambda text: print(f'     {text}', flush=True))
    if failed:
        return 1
    print('3/3  report', flush=True)
    report = args.work_dir / 'report.html'
    folders = [str(run.folder) for run in runs]
    code = run_verb('report', [*folders, '--out', str(report), '--figure', str(args.work_dir / 'result.png')])
    print(f'\n{markdown_table(DEMO, runs)}')
    print(f'\nDone in {(time.monotonic() - start) / 60:.0f} min. Open {report.resolve()}')
    return code
