"""What verbs share about outputs: those of a finished model, saved once with progress, and the file that is written."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from imbdense.cli._device import add_device_argument
from imbdense.cli._numbers import seed_number, whole
from imbdense.cli._point_configs import refuse_points
from imbdense.cli._runner import add_config_arguments, add_runner_arguments, load_config, set_launcher
from imbdense.cli.main import UserError

if TYPE_CHECKING:
    from imbdense.data.outputs.store import OutputStore
    from imbdense.mm.inference.finished_model import FinishedModel


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """CONFIG, CHECKPOINT, and how the outputs are saved."""
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='the .pth file')
    add_runner_arguments(parser)
    parser.add_argument('--split', choices=('val', 'test'), default='val', help='whose labelled images (val)')
    parser.add_argument('--outputs', type=Path, metavar='DIR', help='folder of the saved outputs (default: in the '
                        'work dir, imbdense/outputs/<checkpoint>_<split>); complete ones are not made again')
    parser.add_argument('--max-images', type=int, metavar='N', help='only N images, evenly spread (default: all)')
    parser.add_argument('--seed', type=seed_number, default=0, help='of the drawn pixels and of the folds (0)')
    parser.add_argument('--workers', type=whole(0), default=2, help='processes that load images (2)')
    add_device_argument(parser)
    parser.add_argument('--class-counts', metavar='FILE', help='class_counts.json of the training labels, where the '
                        'checkpoint holds none and the training data are not at hand')


def finished_outputs(args: argparse.Namespace, verb: str) -> tuple[FinishedModel, OutputStore]:
    """Load the model, save what is not saved yet; on several ranks all return when everything is there."""
    from mmengine.dist import barrier, init_dist, is_distributed

    from imbdense.mm.checkpoints import install_safe_loading
    from imbdense.mm.inference.finished_model import load_finished
    from imbdense.mm.inference.save_outputs import save_outputs

    if args.max_images is not None and args.max_images < 1:
        raise UserError(f'--max-images must be at least 1, but is {args.max_images}.')
    config = load_config(args)
    refuse_points(config, verb)
    set_launcher(config, args)
    if config.launcher != 'none' and not is_distributed():
        init_dist(config.launcher)
    install_safe_loading()
    finished = load_finished(config, args.checkpoint, args.split, args.device)
    folder = args.outputs or work_dir(args) / 'imbdense' / 'outputs' / f'{Path(args.checkpoint).stem}_{args.split}'
    with progress_line('save outputs') as progress:
        store = save_outputs(finished, folder, max_images=args.max_images, seed=args.seed, workers=args.workers,
                             progress=progress)
    barrier()
    return finished, store


def work_dir(args: argparse.Namespace) -> Path:
    """``--work-dir``, else the folder of the checkpoint."""
    return Path(args.work_dir) if args.work_dir else Path(args.checkpoint).parent


@contextlib.contextmanager
def progress_line(title: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a callback (done, total): a bar with the time left on a terminal, else such a line every ten seconds."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(title)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    begin: list[float] = []  # time and amount at the first call: what an earlier run did is not counted
    last = [time.monotonic()]

    def show(done: int, total: int) -> None:
        now = time.monotonic()
        begin.extend([] if begin else [now, done])
        if now - last[0] > 10:
            last[0] = now
            speed = (done - begin[1]) / (now - begin[0]) if done > begin[1] else 0.0
            left = f', about {(total - done) / speed / 60:.1f} minutes left' if speed else ''
            print(f'{title}: {done} of {total}{left}', file=sys.stderr, flush=True)

    yield show


def keep_inputs(out: Path | None, *inputs: Path | None) -> None:
    """Raise ``UserError`` if the file to be written, where there is one, is one of those that are read."""
    if out is not None and out.resolve() in {path.resolve() for path in inputs if path is not None}:
        raise UserError(f'--out {out} is an input; choose another name, the input is still needed.')


def check_cloud_out(out: Path, inputs: Sequence[Path]) -> None:
    """Raise ``UserError`` before anything is measured if ``out`` is an input or no format that can be written."""
    from imbdense.data.points.write import SUFFIXES

    keep_inputs(out, *inputs)
    if out.suffix.lower() not in SUFFIXES:
        written = ', '.join(SUFFIXES)
        raise UserError(f'--out {out}: {out.suffix or "no suffix"} cannot be written; use one of {written}.')
