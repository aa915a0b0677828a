"""imbdense benchmark semi: a tenth of the labels, the rest of the images without; what do pseudo-labels add?

Supervised training on the labelled tenth, a mean teacher with one threshold for all classes, and class-balanced
thresholds, on four real data sets. Every run is a normal ``imbdense train`` of a config written into its folder;
interrupted grids go on where they stopped. The result is a markdown page with the config lines of every method.
"""

from __future__ import annotations

import argparse

from imbdense.benchmark.suite_grid import add_grid_arguments, run_suites

INTRO = (
    '# A tenth of the labels: what do pseudo-labels add?',
    '',
    'Regenerate with `imbdense benchmark semi --markdown docs/benchmarks/semi.md --figure docs/images/semi.png`',
    '(about two hours on two cores; it goes on where it was stopped). Each seed draws its own labelled images, so that',
    'every class occurs; the other training images are used without labels. Data, model, schedule, number of',
    'iterations, labelled batches and the moving average that is tested are the same in every row of a table; only the',
    'config lines below it differ. Mean ± 95 % Student-t interval over the seeds; Δ is the paired difference to the',
    'first row, seed by seed. CPU-sized models and schedules: compare rows, not with published numbers.',
)
"""The head of the page."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    add_grid_arguments(parser, 'semi')


def run(args: argparse.Namespace) -> int:
    """Run what is missing, print and write the tables; exit code 1 when a run failed."""
    from imbdense.benchmark.semi_suites import SUITES

    return run_suites(args, SUITES, INTRO)
