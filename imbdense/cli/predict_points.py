"""Label point clouds of any size with a trained point segmentor; every field of the file is kept.

  imbdense predict points CONFIG CHECKPOINT tile.laz --out labelled.laz
  imbdense predict points CONFIG CHECKPOINT tiles/*.laz --out labelled/
  imbdense browse points labelled.laz                                          look at it

The points of all files are sorted into a lattice of overlapping blocks on disk, so memory does not grow with them and
neighbouring tiles see each other's points. Probabilities are averaged over the blocks that hold a point (and
--rotations), and every point of the file gets a label. LAS and LAZ gain the dimensions `predicted` (code of the class,
as in the training files) and `confidence` (mean probability of that class). Interrupted or killed: run the same command
again, it goes on where it was. The files are the same for any --workers.

Exit code: 0 done, 2 wrong use or a file that cannot be used.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbdense.cli._device import add_device_argument
from imbdense.cli._explain import explained
from imbdense.cli._outputs import progress_line
from imbdense.cli._runner import add_config_arguments, load_config
from imbdense.cli.main import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from imbdense.data.points.tiles import BlockLattice
    from imbdense.mm.points import PointJob, PointNetwork

UNFINISHED = '.unfinished'
FIELDS = ('predicted', 'classification')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command."""
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='the .pth file')
    parser.add_argument('clouds', nargs='+', type=Path, metavar='CLOUD', help='.las .laz .ply .txt .csv .npz ...')
    parser.add_argument('--out', type=Path, required=True, help='file to write, or a folder (several clouds)')
    parser.add_argument('--field', choices=FIELDS, default='predicted', help='where labels go: a new dimension, or '
                        'instead of the classification of the file (predicted)')
    parser.add_argument('--block', type=float, metavar='M', help='side of a block in metres (default: that of the '
                        'crops of training, else 50)')
    parser.add_argument('--overlap', type=float, metavar='M', help='metres that neighbours share (half a block)')
    parser.add_argument('--halo', type=float, metavar='M', help='metres of context at the border of a block, whose '
                        'points it does not vote on (an eighth of a block)')
    parser.add_argument('--rotations', type=int, default=1, help='passes per block, turned about the vertical (1)')
    parser.add_argument('--workers', type=int, metavar='N', help='blocks computed beside each other; memory grows with '
                        'them (default: on a CPU as many as torch has threads, at most 4; on a GPU 1)')
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Predict and write; exit code 0."""
    for name in ('rotations', 'workers'):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise UserError(f'--{name} must be at least 1, but is {getattr(args, name)}.')
    targets = output_files(args.clouds, args.out)
    config = load_config(args)
    with explained(args.config, args.traceback):
        from imbdense.data.readers.errors import LabelReadError
        from imbdense.utils.files import FileWriteError

        try:
            return _predict(args, config, targets)
        except (LabelReadError, FileWriteError, FileNotFoundError, ValueError) as error:
            if args.traceback:
                raise
            raise UserError(str(error)) from error


def output_files(clouds: Sequence[Path], out: Path) -> list[Path]:
    """Where each cloud is written: ``out`` itself, if it has a suffix of points, else a folder with equal names.

    Raises:
        UserError: several clouds for one file, two clouds of one name, a format that cannot be written, or an output
            that is an input.
    """
    from imbdense.data.points.read import SUFFIXES as READ
    from imbdense.data.points.write import SUFFIXES

    if out.suffix.lower() in set(READ) - set(SUFFIXES):
        raise UserError(f'--out {out}: {out.suffix} cannot be written; choose one of {", ".join(SUFFIXES)}.')
    if out.suffix.lower() in SUFFIXES:
        if len(clouds) > 1:
            raise UserError(f'--out {out} is one file, but {len(clouds)} clouds are given; name a folder.')
        targets = [out]
    else:
        targets = [out / cloud.name for cloud in clouds]
    for target, cloud in zip(targets, clouds):
        if targets.count(target) > 1:
            raise UserError(f'two clouds are named {cloud.name}; predict them into two folders.')
        if target.suffix.lower() not in SUFFIXES:
            raise UserError(f'{target.suffix} cannot be written; choose an --out file with one of {SUFFIXES}.')
        if target.resolve() in {path.resolve() for path in clouds}:
            raise UserError(f'--out {target} is an input; choose another name, the input is still needed.')
    return targets


def _predict(args: argparse.Namespace, config: Any, targets: list[Path]) -> int:
    """Load, sort, compute, write, tell."""
    from imbdense.mm.checkpoints import install_safe_loading
    from imbdense.mm.points import PointNetwork, check_targets, predict_blocks, start_job, write_clouds

    install_safe_loading()
    network = PointNetwork(config, args.checkpoint, device=args.device, rotations=args.rotations)
    lattice = _lattice(args, network)
    for cloud in args.clouds:
        _note_missing_colours(cloud, network.probe(cloud))
    check_targets(network, args.clouds, targets, args.field)
    folder = targets[0].parent / f'{UNFINISHED}_{args.out.name}'
    with progress_line('sort points') as progress:
        job = start_job(network, args.clouds, lattice, folder, progress)
    _announce(job)
    with progress_line('predict') as progress:
        predict_blocks(job, workers=args.workers or _threads(network), progress=progress)
    _show(network, write_clouds(job, targets, args.field))
    for target in targets:
        print(f'written to {target}')
    return 0


def _lattice(args: argparse.Namespace, network: PointNetwork) -> BlockLattice:
    """Blocks as the arguments, else the config say."""
    from imbdense.data.points.tiles import BlockLattice

    block = network.block if args.block is None else args.block
    overlap = block / 2 if args.overlap is None else args.overlap
    halo = min(block / 8, overlap / 2) if args.halo is None else args.halo
    return BlockLattice(block, overlap, halo, network.margin)


def _note_missing_colours(path: Path, sample: dict[str, Any]) -> None:
    """A file may have room for colours that nobody filled in."""
    rgb = sample['attributes'].get('rgb')
    if rgb is not None and not rgb.any():
        print(f'note: the colours of {path} seem to be empty (all 0 at its beginning); the model was trained with '
              f'colours.')


def _announce(job: PointJob) -> None:
    """One line about how it is done."""
    lattice = job.lattice
    print(f'{len(job.buckets):,} points of {len(job.paths)} file(s); {len(job.blocks):,} blocks of {lattice.block:g} m '
          f'every {lattice.step:g} m, context of {lattice.halo:g} m, {job.network.rotations} rotation(s)')


def _show(network: PointNetwork, counts: NDArray[np.int64]) -> None:
    """Points per class, the rarest last."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, title='predicted points by class', title_justify='left')
    for column in ('class', 'code', 'points', 'share'):
        shown.add_column(column, justify='left' if column == 'class' else 'right')
    total = max(int(counts.sum()), 1)
    for index in sorted(range(len(counts)), key=lambda c: (-counts[c], c)):
        shown.add_row(network.classes[index], str(network.codes[index]), f'{counts[index]:,}',
                      f'{100 * counts[index] / total:.3g} %')
    Console(highlight=False).print(shown)


def _threads(network: PointNetwork) -> int:
    """Blocks beside each other on this device."""
    import torch

    return 1 if network.device.type != 'cpu' else min(torch.get_num_threads(), 4)
