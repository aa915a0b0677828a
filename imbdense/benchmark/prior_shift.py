"""imbdense benchmark prior-shift: FixMatch on pools in which the rare class is rarer than among the labels.

Four shapes, 20 labelled pictures with class shares 55 / 25 / 15 / 5 %, 380 unlabelled ones with 5, 1 or 0.2 % of the
rare class, a network of three levels. Trained without the pool, with FixMatch, and with FixMatch whose predictions are
aligned and whose thresholds are set per class: to the shares that are estimated for the pool while training ('bbse'),
or to those of the labels ('labelled', wrong where the pool is shifted). Prints the IoU of the rare class on pictures
with 5 % of it. 30 trainings of four seconds.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from imbdense.benchmark.summary import mean_interval
from imbdense.cli._numbers import seed_number, whole
from imbdense.utils.files import atomic_write_json, atomic_write_text

SHARES = (0.05, 0.01, 0.002)
Scores = Mapping[tuple[str, float, int], float]
"""(method, share, seed) -> IoU of the rare class; the supervised run is there once, with the first share."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument('--seeds', nargs='+', type=seed_number, default=[0, 1, 2], help='seeds (default: 0 1 2)')
    parser.add_argument('--steps', type=whole(1), default=200, help='steps of each training (200)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/prior_shift.json'),
                        help='results so far; what is there is not trained again')
    parser.add_argument('--markdown', type=Path, help='write the table to this file')


def run(args: argparse.Namespace) -> int:
    """Train what is missing, print and write the table; 0."""
    scores = read_scores(args.out)
    for cell in cells(args.seeds):
        if cell not in scores:
            scores[cell] = train_cell(cell, args.steps)
            atomic_write_json(args.out, [[*key, value] for key, value in scores.items()])
            print(f'{cell[0]}, share {cell[1]}, seed {cell[2]}: {scores[cell]:.3f}', flush=True)
    page = prior_shift_page({cell: scores[cell] for cell in cells(args.seeds)}, args.seeds)
    print(page)
    if args.markdown:
        atomic_write_text(args.markdown, page)
    return 0


def cells(seeds: Sequence[int]) -> list[tuple[str, float, int]]:
    """All trainings, seed by seed."""
    from imbdense.benchmark.prior_shift_task import METHODS, SUPERVISED

    return [
        (method, share, seed) for seed in seeds for method in METHODS
        for share in ((SHARES[0],) if method == SUPERVISED else SHARES)
    ]  # fmt: skip


def train_cell(cell: tuple[str, float, int], steps: int) -> float:
    """IoU of the rare class of one training."""
    from imbdense.benchmark.prior_shift_task import Task, class_ious

    method, share, seed = cell
    return float(class_ious(Task(rare_share=share, steps=steps), method, seed)[-1])


def read_scores(path: Path) -> dict[tuple[str, float, int], float]:
    """What an interrupted run left."""
    import json

    if not path.is_file():
        return {}
    return {(method, share, seed): value for method, share, seed, value in json.loads(path.read_text())}


def prior_shift_page(scores: Scores, seeds: Sequence[int]) -> str:
    """The table, and whether plain FixMatch falls and how much of its loss the others win back."""
    from imbdense.benchmark.prior_shift_task import ESTIMATED, FIXMATCH, LABELLED, METHODS, SUPERVISED

    def values(method: str, share: float) -> list[float]:
        return [scores[method, SHARES[0] if method == SUPERVISED else share, seed] for seed in seeds]

    def mean(method: str, share: float) -> float:
        return sum(values(method, share)) / len(seeds)

    header = ['rare class in the pool', *METHODS]
    lines = ['| ' + ' | '.join(header) + ' |', '|' + ' --- |' * len(header)]
    for share in SHARES:
        found = [_text(*mean_interval(values(method, share))) for method in METHODS]
        lines.append(f'| {100 * share:g} % | ' + ' | '.join(found) + ' |')
    plain = [mean(FIXMATCH, share) for share in SHARES]
    lost = plain[0] - plain[-1]
    falls = all(high > low for high, low in itertools.pairwise(plain))
    lines += [
        '', f'IoU of the rare class, mean ± 95 % interval over {len(seeds)} seeds.', '',
        f'* Plain FixMatch falls with the share: {"yes" if falls else "no"} '
        f'({" → ".join(f"{value:.3f}" for value in plain)}); it loses {lost:+.3f}.',
        f'* At 0.2 % against the supervised run: {plain[-1] - mean(SUPERVISED, SHARES[0]):+.3f}.',
        f'* At 0.2 % alignment and thresholds of the estimated shares change plain FixMatch by '
        f'{mean(ESTIMATED, SHARES[-1]) - plain[-1]:+.3f}, those of the labels by '
        f'{mean(LABELLED, SHARES[-1]) - plain[-1]:+.3f}.',
    ]  # fmt: skip
    return '\n'.join(lines) + '\n'


def _text(mean: float, half: float) -> str:
    return f'{mean:.3f}' if math.isnan(half) else f'{mean:.3f} ± {half:.3f}'
