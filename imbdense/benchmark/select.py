"""imbdense benchmark select: train on 10, 20 and 30 % of the images, chosen by different selectors.

Per data set and seed: a model is trained on a random twentieth (burn-in), its predictions and features make the pool,
every selector adds images to the burn-in's, and a fresh model is trained on what is labelled then. Interrupted grids go
on where they stopped. The result is a markdown page.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from imbdense.benchmark.grid import run_all
from imbdense.benchmark.runs import Run, plan
from imbdense.benchmark.select_stages import Stages
from imbdense.benchmark.select_suites import SOURCES, PoolSource
from imbdense.benchmark.suite_grid import (
    add_grid_arguments,
    chosen_names,
    known_cells,
    prepare_data,
    shared_weights,
    write_results,
)

INTRO = (
    '# Which images to label: do selectors help the rare class?',
    '',
    'Regenerate with `imbdense benchmark select --markdown docs/benchmarks/select.md --figure docs/images/select.png`',
    '(it goes on where it was stopped). Per seed a model is trained on a random twentieth of the images, in which',
    'every class occurs; what it predicts, with its features, is the pool that every selector chooses from, beside the',
    'images of the twentieth. A fresh model is trained on all labelled images, with the same schedule and number of',
    'iterations for every selector and budget. Mean ± 95 % Student-t interval over the seeds; Δ is the paired',
    'difference to random images, seed by seed. CPU-sized models and schedules: compare rows, not with published',
    'numbers.',
)
"""The head of the page."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    add_grid_arguments(parser, 'select')


def run(args: argparse.Namespace) -> int:
    """Run what is missing, stage by stage; exit code 1 when a run failed."""
    from imbdense.utils.paths import configs_dir

    stages = [Stages(SOURCES[name], args.work_dir, _labels) for name in chosen_names(args, SOURCES)]
    suites = [suite for stage in stages for suite in stage.suites()]
    if args.list:
        print('\n'.join(f'{suite.name}: {suite.config}' for suite in suites))
        return 0
    shared_weights(args.sources)
    for suite in suites:
        prepare_data(suite, args.sources)
    runs = plan(suites, args.seeds, args.work_dir / 'trainings')
    known_cells(args, runs)
    todo = [(stage, seed) for seed in args.seeds for stage in stages if stage.is_waiting(runs, seed)]
    failed = _run_stages(
        [[stage.burn_in_run(seed) for stage, seed in todo],
         [stage.pool_run(seed) for stage, seed in todo],
         sorted(runs, key=lambda run: run.seed)],
        configs_dir(), args.jobs)
    write_results(args, suites, runs, INTRO)
    return int(failed)


def _run_stages(parts: Sequence[Sequence[Run]], configs: Path, jobs: int) -> bool:
    """One stage after the other; stop at one with a failure, since the next builds on it."""
    return any(run_all(part, configs, jobs=jobs, report=print) for part in parts)


@cache
def _labels(source: PoolSource) -> Any:
    """The class table of all training images of a data set."""
    from imbdense.benchmark.labels import training_table

    lines = {key: value for key, value in source.lines.items() if key.endswith('data_root')}
    return training_table(source.config, 'train_dataloader.dataset', lines)
