"""imbdense benchmark adaptation-3d: does ReDB help the rare class of a LiDAR detector across a domain shift?

Generated scenes of two sensors with cars of two sizes, cars to cyclists 20 : 1 (``imbdense generate lidar``). A pillar
detector learns the source; from its checkpoint plain self-training (one score threshold, no examination, no thinning,
nothing pasted) and ReDB adapt to the unlabelled target with equally many steps. Average precision and recall of every
class on other target scenes, seen from above at an overlap of .5. Goes on where it was stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imbdense.benchmark.grid import run_all
from imbdense.benchmark.runs import Run
from imbdense.benchmark.suites import Method, Suite
from imbdense.cli._numbers import seed_number, whole
from imbdense.cli._runner import make_folder

SOURCE_CONFIG, TARGET_CONFIG = 'point_cloud/pillar_lidar_source.py', 'point_cloud/redb3d_lidar_target.py'
CLASSES = ('Car', 'Pedestrian', 'Cyclist')
KEYS = ('bev_ap50', 'bev_recall50')
PASTES = 'train_dataloader.dataset.unlabeled.pipeline'
PLAIN = {
    'custom_hooks.0.rule': {'type': 'imbdense.FixedThreshold', 'threshold': 0.5}, 'custom_hooks.0.cde': None,
    'custom_hooks.0.obc': None, 'custom_hooks.0.quota': {'k0_src': 0, 'reduce': 0, 'k0_tgt': 0, 'grow': 0},
}  # fmt: skip
"""What makes ReDB plain self-training."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument('--seeds', nargs='+', type=seed_number, default=[1, 2, 3], help='of data and training (1 2 3)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/adaptation_3d'), help='data, runs')
    parser.add_argument('--jobs', type=whole(1), default=1, help='trainings at a time')


def run(args: argparse.Namespace) -> int:
    """Make data, train, adapt, print the table; exit code 1 when a run failed."""
    from imbdense.utils.paths import configs_dir

    make_folder(args.work_dir, 'the work dir', '--work-dir')
    sources = [_source(args.work_dir, seed) for seed in args.seeds]
    for source in sources:
        _make_data(args.work_dir, source)
    if run_all(sources, configs_dir(), jobs=args.jobs, report=print):
        return 1
    adapted = [one for source in sources for one in _adaptations(args.work_dir, source)]
    failed = run_all(adapted, configs_dir(), jobs=args.jobs, report=print)
    print(results_page([*sources, *adapted]))
    return 1 if failed else 0


def results_page(runs: Sequence[Run]) -> str:
    """A table of AP and recall of every class, and for each seed what ReDB gains over plain self-training."""
    lines = [f'| seed | method | {" | ".join(CLASSES)} |', '|---|---|' + '---|' * len(CLASSES)]
    scores: dict[tuple[int, str], dict[str, list[float]]] = {}
    for one in sorted(runs, key=lambda one: one.seed):
        found = one.result()
        if found is not None:
            rows = {key: [found.get(f'boxes_3d/{key}/{name}', float('nan')) for name in CLASSES] for key in KEYS}
            scores[one.seed, one.method.name] = rows
            cells = ' | '.join(f'AP {ap:.3f}, recall {recall:.3f}' for ap, recall in zip(*rows.values()))
            lines.append(f'| {one.seed} | {one.method.name} | {cells} |')
    for seed in sorted({seed for seed, _ in scores}):
        if {(seed, 'redb'), (seed, 'plain')} <= set(scores):
            gain = {key: scores[seed, 'redb'][key][-1] - scores[seed, 'plain'][key][-1] for key in KEYS}
            words = ', '.join(f'{key} {value:+.3f}' for key, value in gain.items())
            verdict = 'as wanted' if gain['bev_recall50'] > 0 else 'NOT as wanted'
            lines.append(f'seed {seed}: ReDB - plain self-training, {CLASSES[-1]}: {words}: {verdict}')
    return '\n'.join(lines)


def _folder(work_dir: Path, seed: int) -> Path:
    """The data of a seed."""
    return work_dir / 'data' / f'seed{seed}'


def _lines(work_dir: Path, seed: int) -> dict[str, Any]:
    """Where a run finds the data that are evaluated."""
    target = str(_folder(work_dir, seed) / 'target')
    return {f'{split}_dataloader.dataset.data_root': target for split in ('val', 'test')}


def _source(work_dir: Path, seed: int) -> Run:
    """The training on the source."""
    data = _folder(work_dir, seed)
    lines = {
        **_lines(work_dir, seed), 'train_dataloader.dataset.data_root': str(data / 'source'),
        'train_dataloader.dataset.pipeline.2.bank': str(data / 'source_bank'),
    }  # fmt: skip
    suite = Suite(f'adaptation in space seed {seed}', SOURCE_CONFIG, (), 'boxes_3d/bev_ap50', (), lines=lines)
    return Run(suite, Method('source', {}, 'the labelled source scenes alone'), seed, work_dir / f'source_seed{seed}')


def _adaptations(work_dir: Path, source: Run) -> list[Run]:
    """Plain self-training and ReDB from the checkpoint of ``source``."""
    data = _folder(work_dir, source.seed)
    found = []
    for name, own, why in (('plain', PLAIN, 'one threshold'), ('redb', {}, 'rounds, examined and balanced')):
        folder = work_dir / f'{name}_seed{source.seed}'
        lines = {
            **_lines(work_dir, source.seed), **own, 'load_from': str(source.checkpoint()),
            'train_dataloader.dataset.labeled.data_root': str(data / 'source'),
            'train_dataloader.dataset.unlabeled.data_root': str(data / 'target'),
            'custom_hooks.0.bank': str(folder / 'pseudo_bank'), f'{PASTES}.2.bank': str(folder / 'pseudo_bank'),
            'custom_hooks.0.source_bank': str(data / 'source_bank'), f'{PASTES}.3.bank': str(data / 'source_bank'),
        }  # fmt: skip
        suite = Suite(f'adaptation in space seed {source.seed}', TARGET_CONFIG, (), 'boxes_3d/bev_ap50', ())
        found.append(Run(suite, Method(name, lines, why), source.seed, folder))
    return found


def _make_data(work_dir: Path, source: Run) -> None:
    """Scenes of both domains, and the bank of the labelled objects."""
    from imbdense.benchmark.runs import write_config
    from imbdense.cli.main import UserError, run_verb
    from imbdense.utils.paths import configs_dir

    data = _folder(work_dir, source.seed)
    for name, setup, seed in (('source', 'beams32', 2 * source.seed), ('target', 'beams64', 2 * source.seed + 1)):
        arguments = ['lidar', '--setup', setup, '--out', str(data / name), '--seed', str(seed)]
        if run_verb('generate', arguments) != 0:
            raise UserError(f'the scenes {data / name} could not be made.')
    source.folder.mkdir(parents=True, exist_ok=True)
    config = write_config(source, configs_dir())
    bank = ['bank', str(config), '--out', str(data / 'source_bank'), '--min-area', '5']
    if run_verb('generate', bank) != 0:
        raise UserError(f'the bank {data / "source_bank"} could not be made.')
