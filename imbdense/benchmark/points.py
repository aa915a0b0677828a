"""imbdense benchmark points: segmentation of point clouds, with and without tools for imbalance.

Airborne laser scanning and generated clouds; every row is trained with the same network and schedule. Interrupted grids
go on where they stopped. The result is a markdown page.
"""

from __future__ import annotations

import argparse

from imbdense.benchmark.point_suites import SUITES
from imbdense.benchmark.suite_grid import add_grid_arguments, run_suites

INTRO = (
    '# Point clouds: do tools against imbalance help?',
    '',
    'Regenerate with `imbdense benchmark points --cells docs/benchmarks/points.json`',
    '`--markdown docs/benchmarks/points.md --figure docs/images/points.png` (it goes on where it was stopped). Mean ±',
    '95 % Student-t interval over the seeds; Δ is the paired difference to the first row, seed by seed. Scores are of',
    'raw points. CPU-sized network and schedules: compare rows, not with published numbers.',
)
"""The head of the page."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    add_grid_arguments(parser, 'points')


def run(args: argparse.Namespace) -> int:
    """Run what is missing; exit code 1 when a run failed."""
    return run_suites(args, SUITES, INTRO)
