"""imbdense benchmark imbalance: {sampling} x {loss} x {post hoc} x {imbalance ratio} x seeds, as one resumable grid.

Generated scenes at several imbalance ratios (and balanced ones of the same size, for relative accuracy) and small real
sets. Every training is a normal ``imbdense train``; every post-hoc step is a test of a finished training. The default
fits a laptop; `--size full` is for a GPU box, and the same command runs under torchrun or SLURM, which share the cells:

  imbdense benchmark imbalance                                      an hour or two on two cores
  imbdense benchmark imbalance --size full --jobs 4                 one GPU box
  srun --ntasks 32 imbdense benchmark imbalance --size full         a cluster, in one shared folder
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from imbdense.benchmark.grid import launched_rank, run_all
from imbdense.benchmark.imbalance_axes import (
    LOSSES,
    POST_HOCS,
    PROFILES,
    REAL,
    SAMPLINGS,
    SIZES,
    Size,
    real_suite,
    scene_suite,
)
from imbdense.benchmark.runs import Evaluation, Run, plan
from imbdense.benchmark.suites import Method, Suite
from imbdense.cli._numbers import seed_number, whole
from imbdense.cli._runner import make_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument('--size', choices=list(SIZES), default='laptop', help='how large the grid is')
    parser.add_argument('--sampling', nargs='+', choices=list(SAMPLINGS), help='instead of those of the size')
    parser.add_argument('--loss', nargs='+', choices=list(LOSSES), help='instead of those of the size')
    parser.add_argument('--post-hoc', nargs='+', choices=list(POST_HOCS), help='instead of those of the size')
    parser.add_argument('--ratios', nargs='*', type=whole(2), help='imbalance ratios of the scenes, above 1')
    parser.add_argument('--profiles', nargs='+', choices=list(PROFILES), help='class profiles of the scenes')
    parser.add_argument('--real', nargs='*', choices=list(REAL), help='real data sets')
    parser.add_argument('--iterations', type=whole(1), help='of each training, instead of those of the size')
    parser.add_argument('--seeds', nargs='+', type=seed_number, help='seeds (default: 0 to the number of the size)')
    parser.add_argument('--jobs', type=whole(1), default=os.cpu_count() or 2, help='trainings at a time, per rank')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/imbalance'), help='where the runs live')
    parser.add_argument('--sources', default=os.environ.get('IMBDENSE_SHARED_DATA', '../shared/data'),
                        help='folder with the downloaded data sets (default: $IMBDENSE_SHARED_DATA)')
    parser.add_argument('--dry-run', action='store_true', help='print the plan and stop')
    parser.add_argument('--markdown', type=Path, help='write the tables to this file (docs/benchmarks/imbalance.md)')
    parser.add_argument('--figure', type=Path, help='write a picture of them, PNG (docs/images/imbalance.png)')


def run(args: argparse.Namespace) -> int:
    """Run what is missing, print and write the tables; exit code 1 when a run failed."""
    from imbdense.benchmark.imbalance_page import imbalance_page
    from imbdense.benchmark.suite_grid import prepare_data
    from imbdense.utils.files import atomic_write_text
    from imbdense.utils.paths import configs_dir

    size = chosen_size(args)
    suites = chosen_suites(size)
    trainings = plan(suites, args.seeds or list(range(size.seeds)), args.work_dir)
    tests = evaluations(trainings, size.post_hocs)
    if args.dry_run:
        print(f'{len(trainings)} trainings, {len(tests)} tests of finished trainings:')
        for suite in suites:
            print(f'  {suite.name}: {", ".join(method.name for method in suite.methods)}')
        return 0
    make_folder(args.work_dir, 'the work dir', '--work-dir')
    rank, _ = launched_rank(os.environ)
    weights = Path(args.sources) / 'weights'
    if weights.is_dir():
        os.environ.setdefault('IMBDENSE_WEIGHTS', str(weights.resolve()))
    for suite in suites:
        prepare_data(suite, args.sources)
    failed = run_all(trainings, configs_dir(), jobs=args.jobs, report=print)
    trained = [test for test in tests if test.trained.result() is not None]
    failed += run_all(trained, configs_dir(), jobs=args.jobs, report=print)
    if rank == 0:
        page = imbalance_page(size, suites, [*trainings, *tests])
        if args.markdown:
            atomic_write_text(args.markdown, page)
        if args.figure:
            from imbdense.benchmark.imbalance_figure import draw_imbalance

            draw_imbalance(suites, [*trainings, *tests], args.figure)
        print(page)
    return 1 if failed else 0


def chosen_size(args: argparse.Namespace) -> Size:
    """The size with what the options replace; the baseline is always in."""
    size = SIZES[args.size]
    given = {
        'samplings': args.sampling, 'losses': args.loss, 'post_hocs': args.post_hoc, 'ratios': args.ratios,
        'profiles': args.profiles, 'real': args.real, 'iterations': args.iterations,
    }
    size = replace(size, **{
        key: tuple(value) if isinstance(value, list) else value for key, value in given.items() if value is not None
    })
    return replace(
        size,
        samplings=tuple(dict.fromkeys(('natural', *size.samplings))),
        losses=tuple(dict.fromkeys(('ce', *size.losses))),
        post_hocs=tuple(dict.fromkeys(('none', *size.post_hocs))),
    )


def chosen_suites(size: Size) -> list[Suite]:
    """Balanced scenes first (when there are others), then every profile at every ratio, then the real sets."""
    ratios = [ratio for ratio in sorted(set(size.ratios)) if ratio > 1]
    scenes = [scene_suite(ratio, profile, size) for profile in size.profiles for ratio in ratios]
    balanced = [scene_suite(1, 'exp', size)] if scenes else []
    return [*balanced, *scenes, *(real_suite(name, size) for name in size.real)]


def evaluations(trainings: Sequence[Run], post_hocs: Sequence[str]) -> list[Evaluation]:
    """A test for every training and post-hoc step; 'none' is the training's own validation."""
    found = []
    for training in trainings:
        for name in post_hocs:
            if name != 'none':
                method = Method(
                    f'{training.method.name}+{name}', {**training.method.lines, **POST_HOCS[name]})
                folder = training.folder.parent / f'{method.name}_seed{training.seed}'
                found.append(Evaluation(training.suite, method, training.seed, folder, training))
    return found
