"""imbdense benchmark proof: plain losses against rebalancing, equal budget, several seeds, real and generated data.

Every run is a normal ``imbdense train`` of a config written into its folder, so any row can be repeated by hand.
Interrupted grids go on where they stopped. The result is a markdown page with the config lines of every method.
"""

from __future__ import annotations

import argparse

from imbdense.benchmark.suite_grid import add_grid_arguments, run_suites

INTRO = (
    '# Proof: does the rare class get better?',
    '',
    'Regenerate with `imbdense benchmark proof --markdown docs/benchmarks/proof.md --figure docs/images/proof.png`',
    '(two and a half hours on two cores; it goes on where it was stopped). Data, model, schedule and',
    'number of iterations are the same in every row of a table; only the config lines below it differ. Mean ± 95 %',
    'Student-t interval over the seeds; Δ is the paired difference to the first row, seed by seed. CPU-sized',
    'models and schedules: compare rows, not with published numbers.',
)
"""The head of the page."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    add_grid_arguments(parser, 'proof')


def run(args: argparse.Namespace) -> int:
    """Run what is missing, print and write the tables; exit code 1 when a run failed."""
    from imbdense.benchmark.proof_suites import SUITES

    return run_suites(args, SUITES, INTRO)
