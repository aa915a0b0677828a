"""imbdense benchmark adaptation: does self-training across a domain shift help the rare class, and whose does?

Drawn shapes, three classes 100 : 10 : 1 (``domain_shapes.py`` beside this file). A detector learns the source; from its
checkpoint a mean teacher with one threshold for all classes and ReDB adapt to the unlabelled target with equally many
steps. AP50 per class on the target, where every class has as many objects. Goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imbdense.benchmark.domain_shapes import CLASSES, write_shapes
from imbdense.benchmark.grid import run_all
from imbdense.benchmark.runs import Run
from imbdense.benchmark.suites import Method, Suite
from imbdense.cli._numbers import seed_number, whole
from imbdense.cli._runner import make_folder

MEAN_TEACHER, REDB = 'benchmark/atss_shapes_mean_teacher.py', 'benchmark/atss_shapes_redb.py'
SOURCE = Method('source', {
    'model.unsup_weight': 0.0, 'optim_wrapper.optimizer.lr': 3e-3, 'param_scheduler.0.T_max': 336,
    'train_cfg.max_epochs': 6, 'train_cfg.val_interval': 6,
}, 'the labelled source images alone')  # fmt: skip
HEAD, RARE = CLASSES[0], CLASSES[-1]
HEAD_LOSS = 0.03
"""AP50 that the frequent class may lose."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument('--seeds', nargs='+', type=seed_number, default=[1, 2, 3], help='of data and training (1 2 3)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/adaptation'), help='data, runs')
    parser.add_argument('--jobs', type=whole(1), default=1, help='trainings at a time')


def run(args: argparse.Namespace) -> int:
    """Make data, train, adapt, print the table; exit code 1 when a run failed."""
    from imbdense.benchmark.examination import examination_lines
    from imbdense.utils.paths import configs_dir

    make_folder(args.work_dir, 'the work dir', '--work-dir')
    for seed in args.seeds:
        write_shapes(data_of(args.work_dir, seed), seed)
    sources = [_run(args.work_dir, seed, SOURCE) for seed in args.seeds]
    if run_all(sources, configs_dir(), jobs=args.jobs, report=print):
        return 1
    for source in sources:
        _make_bank(args.work_dir, source)
    adapted = [_run(args.work_dir, source.seed, method) for source in sources for method in _methods(args, source)]
    failed = run_all(adapted, configs_dir(), jobs=args.jobs, report=print)
    print(results_page([*sources, *adapted]))
    for source in sources:
        print('\n'.join(examination_lines(source)))
    return 1 if failed else 0


def data_of(work_dir: Path, seed: int) -> Path:
    """The folder of the data of a seed."""
    return work_dir / 'data' / f'seed{seed}'


def results_page(runs: Sequence[Run]) -> str:
    """A table of the AP50 of every class, for each seed what ReDB gains, and what its rounds cost."""
    lines = [f'| seed | method | {" | ".join(CLASSES)} |', '|---|---|' + '---|' * len(CLASSES)]
    scores: dict[tuple[int, str], Mapping[str, float]] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        found = run.result()
        if found is not None:
            scores[run.seed, run.method.name] = {name: found[f'coco/bbox_AP50/{name}'] for name in CLASSES}
            values = ' | '.join(f'{scores[run.seed, run.method.name][name]:.3f}' for name in CLASSES)
            lines.append(f'| {run.seed} | {run.method.name} | {values} |')
    for seed in sorted({seed for seed, _ in scores}):
        if {(seed, 'redb'), (seed, 'mean_teacher')} <= set(scores):
            ours, other = scores[seed, 'redb'], scores[seed, 'mean_teacher']
            rare, head = ours[RARE] - other[RARE], ours[HEAD] - other[HEAD]
            verdict = 'as wanted' if rare > 0 and head >= -HEAD_LOSS else 'NOT as wanted'
            lines.append(f'seed {seed}: ReDB - mean teacher: {RARE} {rare:+.3f}, {HEAD} {head:+.3f}: {verdict}')
    for run in runs:
        if run.log.is_file():
            cost = re.findall(r'PseudoLabelRoundHook: (rounds .* % of .*)', run.log.read_text())
            lines += [f'{run.label}: {line}' for line in cost[-1:]]
    return '\n'.join(lines)


def _methods(args: argparse.Namespace, source: Run) -> list[Method]:
    """The two adaptations from the checkpoint of ``source``."""
    start = {'load_from': str(source.checkpoint())}
    bank = str(data_of(args.work_dir, source.seed) / 'source_bank')
    pseudo = str(args.work_dir / f'redb_seed{source.seed}' / 'pseudo_bank')
    steps = 'train_dataloader.dataset.unlabeled.pipeline'
    banks = {
        'custom_hooks.1.bank': pseudo, 'custom_hooks.1.source_bank': bank, f'{steps}.2.bank': pseudo,
        f'{steps}.3.bank': bank,
    }  # fmt: skip
    return [
        Method('mean_teacher', start, 'one threshold for all classes'),
        Method('redb', {**start, **banks}, 'rounds, examined and balanced', config=REDB),
    ]


def _run(work_dir: Path, seed: int, method: Method) -> Run:
    """One training on the data of its seed."""
    data = data_of(work_dir, seed)
    lines: dict[str, Any] = {
        'train_dataloader.dataset.labeled.data_root': str(data / 'source'),
        'train_dataloader.dataset.unlabeled.data_root': str(data / 'target'),
    }
    for split in ('val', 'test'):
        lines[f'{split}_dataloader.dataset.data_root'] = str(data / 'target')
        lines[f'{split}_evaluator.ann_file'] = str(data / 'target' / 'annotations' / 'val.json')
    suite = Suite(f'adaptation seed {seed}', MEAN_TEACHER, (), 'coco/bbox_mAP', (), lines=lines)
    return Run(suite, method, seed, work_dir / f'{method.name}_seed{seed}')


def _make_bank(work_dir: Path, source: Run) -> None:
    """The bank of labelled objects of the source domain."""
    from imbdense.cli.main import UserError, run_verb

    folder = data_of(work_dir, source.seed) / 'source_bank'
    if run_verb('generate', ['bank', str(source.folder / 'config.py'), '--out', str(folder)]) != 0:
        raise UserError(f'the bank {folder} could not be made.')
