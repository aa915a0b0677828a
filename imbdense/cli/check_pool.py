"""Is my unlabelled pool worth it? Compare it with the labelled images, through the eyes of a finished model.

  imbdense check pool CONFIG CHECKPOINT --unlabelled photos/ more/*.jpg --out pool_check

Writes pool.json and pool.html: do the features differ (and each class by itself), which class shares has the pool,
which of its images are least like the labelled ones, and what semi-supervised training would gain per class. The
labelled images (--labelled, a split of the config) must not be those the model was trained on. Images that cannot be
read are named and skipped.

Exit code: 0 no shift found, 1 a shift, an unclear result or skipped images, 2 wrong use.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbdense.cli._device import add_device_argument
from imbdense.cli._explain import explained
from imbdense.cli._numbers import seed_number, whole
from imbdense.cli._outputs import progress_line
from imbdense.cli._point_configs import refuse_points
from imbdense.cli._runner import add_config_arguments, load_config
from imbdense.cli.main import UserError

if TYPE_CHECKING:
    from rich.console import Console


WIDTH = 130
"""Characters the table needs; a narrower terminal wraps the lines, which loses less than cutting the numbers."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command."""
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='the .pth file')
    parser.add_argument('--unlabelled', nargs='+', type=Path, required=True, metavar='PATH', help='image files and '
                        'folders (searched recursively)')
    parser.add_argument('--labelled', choices=('val', 'test'), default='val', help='labelled images (val)')
    parser.add_argument('--out', type=Path, default=Path('pool_check'), help='folder for pool.json and pool.html')
    parser.add_argument('--layer', help='whose features are compared, for example backbone.layer4 (default: the last '
                        'map of the backbone)')
    parser.add_argument('--max-images', type=int, default=2000, metavar='N', help='images drawn per side (2000)')
    parser.add_argument('--max-vectors', type=int, default=20_000, metavar='N', help='feature vectors per side (20000)')
    parser.add_argument('--no-forecast', action='store_true', help='do not predict the gain')
    parser.add_argument('--seed', type=seed_number, default=0, help='of everything drawn (0)')
    parser.add_argument('--workers', type=whole(0), default=2, help='processes that load images (2)')
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Collect both sides, measure, write, print."""
    from imbdense.cli.predict import find_images

    for name in ('max_images', 'max_vectors'):
        if getattr(args, name) < 1:
            raise UserError(f'--{name.replace("_", "-")} must be at least 1, but is {getattr(args, name)}.')
    files = [file for file, _ in find_images(args.unlabelled, args.out)]
    if not files:
        raise UserError(f'no image in {", ".join(map(str, args.unlabelled))}.')
    config = load_config(args)
    refuse_points(config, 'check pool')
    with explained(args.config, args.traceback):
        from rich.console import Console

        record, skipped = _measure(args, config, files)
        from imbdense.report.pool_page import pool_page
        from imbdense.utils.files import atomic_write_json, atomic_write_text

        atomic_write_json(args.out / 'pool.json', record)
        atomic_write_text(args.out / 'pool.html', pool_page(record))
        show(record, Console(highlight=False, width=max(WIDTH, Console().width)))
    print(f'\nwritten to {args.out / "pool.html"} and pool.json')
    for message in skipped:
        print(f'skipped {message}', file=sys.stderr)
    return int(bool(skipped) or record['verdict'] != 'no shift found')


def _measure(args: argparse.Namespace, config: Any, files: list[Path]) -> tuple[dict[str, Any], list[str]]:
    """(record for JSON, skipped images)."""
    import numpy as np

    from imbdense.core.shift import measure_shift
    from imbdense.mm.checkpoints import install_safe_loading
    from imbdense.mm.inference import pool
    from imbdense.mm.inference.finished_model import load_finished

    install_safe_loading()
    finished = load_finished(config, args.checkpoint, args.labelled, args.device)
    rng = np.random.default_rng(args.seed)
    chosen = np.sort(rng.permutation(len(finished.dataset))[: args.max_images]).tolist()
    files = [files[place] for place in np.sort(rng.permutation(len(files))[: args.max_images])]
    sides, skipped = {}, []
    options = {'layer': args.layer, 'max_vectors': args.max_vectors, 'seed': args.seed, 'workers': args.workers}
    for name, images in (
        ('labelled', pool.labelled_images(finished, chosen)), ('unlabelled', pool.unlabelled_images(finished, files))
    ):
        with progress_line(f'{name} images') as progress:
            collector, messages = pool.collect(
                finished, images, labelled=name == 'labelled', progress=progress, **options
            )
        if not collector.images:
            raise UserError(f'none of the {len(images)} {name} images could be used; the first: {messages[0]}')
        sides[name] = collector.sample()
        skipped += messages
    with progress_line('compare') as progress:
        report = measure_shift(
            sides['labelled'], sides['unlabelled'], finished.classes, forecast=not args.no_forecast, seed=args.seed,
            progress=progress,
        )  # fmt: skip
    record = report.to_dict()
    record |= {
        'format': 1, 'kind': 'pool', 'task': finished.task, 'checkpoint': str(args.checkpoint),
        'labelled_split': args.labelled, 'layer': args.layer or 'backbone', 'skipped': skipped,
        'unlabelled_files': [str(files[index]) for index in report.domain.groups_b.tolist()],
    }  # fmt: skip
    return record, skipped


def show(record: dict[str, Any], console: Console) -> None:
    """Verdict and the table of classes."""
    from rich.table import Table

    features, domain = record['features'], record['domain']
    images = record['images']
    console.print(f'[bold]{record["verdict"]}[/bold]: {images[0]} labelled, {images[1]} pool images')
    for reason in {features['reason'], record['mmd']['reason'], domain['reason']} - {''}:
        console.print(f'  not measured: {reason}')
    console.print(
        f'  features  FD∞ {_number(features["fd_inf"])} ± {_number(features["standard_error"])}, excess '
        f'{_number(features["excess"])}, p = {_number(features["p_value"])}\n'
        f'  MMD² {_number(record["mmd"]["value"], 4)}   domain classifier AUROC {_number(domain["auroc"])}'
    )
    prior, forecast = record['prior'], record['forecast']
    table = Table(box=None, title_justify='left', title='Classes: share in the labelled images and in the pool (%)')
    for name in ('class', 'labelled', 'pool', '95 %', 'ratio', 'status', 'FD∞', 'p', 'predicted gain (F1)', 'probe'):
        table.add_column(name, justify='left' if name in ('class', 'status') else 'right')
    for k, name in enumerate(record['classes']):
        shares = ['–'] * 4 + ['not measured']
        if prior is not None:
            interval = f'{_percent(prior["low"][k])}–{_percent(prior["high"][k])}'
            shares = [_percent(prior['labelled'][k]), _percent(prior['em'][k]), interval, _number(prior['ratio'][k], 2),
                      prior['status'][k]]  # fmt: skip
        own = record['by_class'][k] if record['by_class'] else None
        shift = ['–', '–'] if own is None else [own['status'], ''] if own['status'] != 'ok' else [
            _number(own['shift']['fd_inf'], 2), _number(own['shift']['p_value'])
        ]
        gain = ['–', '–']
        if forecast is not None:
            value, low, high, probe, error = (
                _number(forecast[key][k], 1) for key in ('gain', 'low', 'high', 'probe_gain', 'probe_error')
            )
            gain = [value if low == high == '–' else f'{value} ({low} to {high})',
                    probe if error == '–' else f'{probe} ± {error}']
        table.add_row(name, *shares, *shift, *gain)
    console.print(table)
    if prior is not None:
        console.print(f'class prior: total variation {_number(prior["total_variation"])} '
                      f'({_number(prior["tv_low"])} to {_number(prior["tv_high"])})')
    if forecast is not None:
        console.print(f'forecast: {forecast["reason"] or forecast["note"]} R² {_number(forecast["r_squared"], 2)} and '
                      f'coverage {_number(forecast["coverage"], 2)} (aim 0.90) on planted shifts it had not seen.')
    console.print(record['advice'])


def _number(value: float | None, digits: int = 3) -> str:
    """Rounded, without the sign of a zero; – for unknown."""
    return '–' if value is None else f'{round(value, digits) + 0.0:.{digits}f}'


def _percent(value: float | None) -> str:
    """A share in percent with two significant digits at least."""
    return '–' if value is None else f'{100 * value:.3g}'
