"""imbdense benchmark change: detectors of change on real and generated pairs, with and without tools for imbalance.

Every row is trained with the same schedule; post-classification compares the land-cover maps of a segmentor trained on
the first dates. Interrupted grids go on where they stopped. The result is a markdown page.
"""

from __future__ import annotations

import argparse

from imbdense.benchmark.change_suites import SOURCES, PairSource, change_suite, comparison_methods, land_cover_suite
from imbdense.benchmark.grid import run_all
from imbdense.benchmark.runs import Evaluation, Run, plan
from imbdense.benchmark.suite_grid import (
    add_grid_arguments,
    chosen_names,
    known_cells,
    prepare_data,
    shared_weights,
    write_results,
)
from imbdense.benchmark.suites import Suite

INTRO = (
    '# Change detection: which detector, and do tools against imbalance help?',
    '',
    'Regenerate with `imbdense benchmark change --cells docs/benchmarks/change.json`',
    '`--markdown docs/benchmarks/change.md --figure docs/images/change.png` (it goes on where it was stopped). Mean ±',
    '95 % Student-t interval over the seeds; Δ is the paired difference to the first row, seed by seed. `bcd/` scores',
    'are of the change class alone; `scd/sem/` scores need land cover at both dates, so binary detectors have none.',
    'CPU-sized models and schedules: compare rows, not with published numbers.',
)
"""The head of the page."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    add_grid_arguments(parser, 'change')


def run(args: argparse.Namespace) -> int:
    """Run what is missing; exit code 1 when a run failed."""
    from imbdense.utils.paths import configs_dir

    suites = {name: change_suite(SOURCES[name]) for name in chosen_names(args, SOURCES)}
    if args.list:
        for name, suite in suites.items():
            print(f'{name}: {", ".join(method.name for method in suite.methods)}')
        return 0
    shared_weights(args.sources)
    for suite in suites.values():
        prepare_data(suite, args.sources)
    runs = sorted(
        (run for name, suite in suites.items() for run in _runs(args, SOURCES[name], suite)), key=lambda run: run.seed)
    known_cells(args, runs)
    trainings = [run for run in runs if not isinstance(run, Evaluation)]
    failed = run_all(trainings, configs_dir(), jobs=args.jobs, report=print)
    tests = [run for run in runs if isinstance(run, Evaluation) and run.trained.result() is not None]
    failed += run_all(tests, configs_dir(), jobs=args.jobs, report=print)
    write_results(args, list(suites.values()), runs, INTRO)
    return int(bool(failed))


def _runs(args: argparse.Namespace, source: PairSource, suite: Suite) -> list[Run]:
    """Trainings, and tests of what has been trained on single dates."""
    compared = {method.name: method for method in comparison_methods(source)} if source.land_covers else {}
    runs = [run for run in plan([suite], args.seeds, args.work_dir) if run.method.name not in compared]
    for training in plan([land_cover_suite(source)], args.seeds, args.work_dir) if compared else ():
        runs.append(training)
        for method in suite.methods:
            if method.name in compared:
                folder = args.work_dir / suite.name / f'{method.name}_seed{training.seed}'
                runs.append(Evaluation(suite, method, training.seed, folder, training))
    return runs
