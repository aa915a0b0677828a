"""imbdense benchmark ssl-curve: does training with unlabelled images pay, and from how many labels on?

Trains a semi-supervised config and its supervised baseline (the same config with `model.unsup_weight = 0`: same images,
schedule, teacher; no look at the unlabelled ones) at several shares of the labelled images, several seeds each, and
prints the gain with its interval per class and for the calibration:

  imbdense benchmark ssl-curve configs/semi_supervised/unet_scenes_fixmatch.py --shares 1 2 5 10 25 --seeds 0 1 2

A share is a percentage of all images of `train_dataloader.dataset.labeled`; which ones is drawn per seed, the smaller
sets inside the larger ones. Interrupted grids go on where they stopped.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbdense.benchmark.runs import Run
from imbdense.benchmark.suites import Method, Suite
from imbdense.cli._numbers import seed_number, whole
from imbdense.cli._runner import make_folder, read_config_file

if TYPE_CHECKING:
    from mmengine.config import Config

BASELINE = Method('baseline', {'model.unsup_weight': 0.0}, 'the same run without a look at the unlabelled images')
SEMI = Method('semi', {}, 'the config as it is')
LABELED = 'train_dataloader.dataset.labeled'


@dataclass(frozen=True)
class CurveData:
    """What the config trains on: number of labelled images in all, class names."""

    images: int
    classes: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument('config', type=Path, help='a semi-supervised segmentation config (imbdense.SemiSegmentor)')
    parser.add_argument('--shares', nargs='+', type=float, default=[1, 2, 5, 10, 25], metavar='PERCENT',
                        help='shares of the labelled images (1 2 5 10 25)')
    parser.add_argument('--seeds', nargs='+', type=seed_number, default=[0, 1, 2], help='seeds (default: 0 1 2)')
    parser.add_argument('--jobs', type=whole(1), default=max(1, (os.cpu_count() or 2)), help='trainings at a time')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/ssl_curve'), help='where the runs live')
    parser.add_argument('--markdown', type=Path, help='write the tables to this file')
    parser.add_argument('--figure', type=Path, help='write a picture of them, PNG')


def run(args: argparse.Namespace) -> int:
    """Train what is missing, print and write tables and picture; exit code 1 when a run failed."""
    from imbdense.benchmark.grid import launched_rank, run_all
    from imbdense.benchmark.ssl_curve_figure import draw_curve
    from imbdense.benchmark.ssl_curve_page import curve_page
    from imbdense.cli.main import UserError
    from imbdense.utils.files import atomic_write_text

    if not args.config.is_file():
        raise UserError(f'there is no config {args.config}.')
    if any(not 0 < share <= 100 for share in args.shares):
        raise UserError(f'--shares are percentages above 0 and at most 100, but are {args.shares}.')
    data, lines = read_config(args.config)
    make_folder(args.work_dir, 'the work dir', '--work-dir')
    runs = curve_runs(args.config, data, lines, sorted(set(args.shares)), args.seeds, args.work_dir)
    failed = run_all(runs, Path(), jobs=args.jobs, report=print)
    if launched_rank(os.environ)[0] == 0:
        page = curve_page(runs, data.classes, args.config.name)
        print(page)
        if args.markdown:
            atomic_write_text(args.markdown, page)
        if args.figure:
            draw_curve(runs, data.classes, args.figure)
    return 1 if failed else 0


def read_config(path: Path) -> tuple[CurveData, dict[str, Any]]:
    """What it trains on, and the lines that make it measure calibration too.

    Raises:
        UserError: it is no semi-supervised segmentation config.
    """
    from mmengine.registry import DATASETS, init_default_scope

    from imbdense.cli.main import UserError
    from imbdense.mm.datasets.label_source import dataset_classes

    config = read_config_file(path)
    settings = (config.get('train_dataloader') or {}).get('dataset') or {}
    if 'labeled' not in settings or 'SemiSegmentor' not in str((config.get('model') or {}).get('type')):
        raise UserError(
            f'{path} is no config of imbdense.SemiSegmentor with imbdense.SemiDataset, so there is nothing to compare.'
        )
    init_default_scope(config.get('default_scope') or 'mmengine')
    dataset = DATASETS.build({**settings.labeled, 'indices': None, 'pipeline': []})
    dataset.full_init()
    return CurveData(len(dataset), dataset_classes(dataset)), calibration_lines(config)


def calibration_lines(config: Config) -> dict[str, Any]:
    """Lines that add ``imbdense.CalibrationMetric`` to the validation, where it is missing."""
    found = config.val_evaluator
    metrics = [dict(item) for item in (found if isinstance(found, (list, tuple)) else [found])]
    if any('CalibrationMetric' in str(item['type']) for item in metrics):
        return {}
    return {'val_evaluator': [*metrics, {'type': 'imbdense.CalibrationMetric'}]}


def curve_runs(
    config: Path, data: CurveData, lines: dict[str, Any], shares: Sequence[float], seeds: Sequence[int], work_dir: Path
) -> list[Run]:
    """All trainings, seed by seed; the suite of a run is its share, with the images of the seed."""
    runs = []
    for seed in seeds:
        for share in shares:
            chosen = labelled_part(data.images, share, seed)
            suite = Suite(
                name=share_name(share), config=str(config.resolve()), methods=(BASELINE, SEMI), mean_key='mIoU',
                rare_keys=tuple(f'IoU/{name}' for name in data.classes),
                lines={**lines, f'{LABELED}.indices': chosen},
            )
            for method in suite.methods:
                runs.append(Run(suite, method, seed, work_dir / suite.name / f'{method.name}_seed{seed}'))
    return runs


def labelled_part(images: int, share: float, seed: int) -> list[int]:
    """Indices of ``share`` percent of the labelled images, at least one; the same order for every share."""
    import numpy as np

    count = max(1, round(images * share / 100))
    order = np.random.default_rng(seed).permutation(images)
    return sorted(int(index) for index in order[:count])


def share_name(share: float) -> str:
    """Folder and row of a share."""
    return f'{share:g}%'
