"""Make an object pool: the objects of every image, with class, score, box and feature, in a memory-mapped folder.

  imbdense select pool CONFIG --source gt --out pool                      annotated objects of the training split
  imbdense select pool CONFIG CKPT --source pred --images photos/ --out pool    what a finished model predicts
  imbdense select pool CONFIG --source coco-json --proposals boxes.json --images photos/ --out pool
  imbdense select pool --source coco-json --proposals boxes.json --features sam2.npy --out pool    no model at all
  imbdense select pool CONFIG [CKPT] --source image --images photos/ --out pool    each image as a whole, no detector
  torchrun --nproc_per_node 4 -m imbdense select pool CONFIG CKPT --images photos/ --out pool
  imbdense select pool CONFIG CKPT --images photos/ --ray 8 --out pool          eight actors of a Ray cluster

Objects of a segmentor are the connected regions of its argmax, those of a label map its connected regions. Without CKPT
features come from the weights a training of the config starts from. --source image makes every image one object of
unknown class with the mean of the features over the image. A stopped or killed run goes on with the same command;
images that cannot be read are named and left out (exit code 1).
"""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbdense.cli._device import add_device_argument
from imbdense.cli._explain import explained
from imbdense.cli._numbers import whole
from imbdense.cli._outputs import progress_line
from imbdense.cli._point_configs import refuse_points
from imbdense.cli._runner import LAUNCHERS, add_config_arguments, load_config, set_launcher
from imbdense.cli.main import UserError

if TYPE_CHECKING:
    from imbdense.core.selection import ObjectPool
    from imbdense.data.object_pool import PoolWriter

SOURCES = ('gt', 'pred', 'coco-json', 'image')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which images, which objects, which features."""
    add_config_arguments(parser, required=False)
    parser.add_argument('checkpoint', nargs='?', type=Path, help='the .pth file; needed for --source pred')
    parser.add_argument('--source', choices=SOURCES, default='pred', help='what the objects are (pred)')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder of the pool')
    parser.add_argument('--split', choices=('train', 'val', 'test'), default='train', help='whose images (train)')
    parser.add_argument('--images', nargs='+', type=Path, metavar='PATH', help='image files, folders (searched '
                        'recursively) or .txt lists instead of a split')
    parser.add_argument('--proposals', type=Path, metavar='FILE', help='coco-json: boxes or masks with score')
    parser.add_argument('--features', type=Path, metavar='FILE', help='coco-json: .npy (N, D), one row per annotation '
                        'of the json; no model is run')
    parser.add_argument('--classes', nargs='+', metavar='NAME', help='only objects of these classes, in this order')
    parser.add_argument('--min-area', type=int, default=16, metavar='PIXELS', help='smallest region (16)')
    parser.add_argument('--score-thr', type=float, default=0.15, help='pred: least score of a box (0.15; selectors may '
                        'cut higher)')
    parser.add_argument('--layer', help='whose map is averaged, for example backbone.layer3 (default: the last map of '
                        'the backbone)')
    parser.add_argument('--amp', action='store_true', help='run the model in half precision')
    parser.add_argument('--dtype', choices=('float16', 'float32'), default='float16', help='of the file (float16)')
    parser.add_argument('--pca-dim', type=int, metavar='D', help='reduce the features to D principal axes')
    parser.add_argument('--no-normalize', action='store_true', help='do not divide features by their L2 norm')
    parser.add_argument('--group', metavar='REGEX', help="scene, slide or flight of an image: the first group of the "
                        "expression, for example '(.*)/'")
    parser.add_argument('--costs', type=Path, metavar='FILE', help='JSON {image: minutes to label it}')
    parser.add_argument('--workers', type=whole(0), default=2, help='processes that load images (2)')
    parser.add_argument('--ray', type=int, metavar='ACTORS', help='run the model in so many actors of Ray (of the '
                        'cluster RAY_ADDRESS names, else of this machine), which share the GPUs there are; each loads '
                        'its own images')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='how several processes are started')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Make the pool, or go on; 0 when all images are in it, 1 when some could not be read."""
    from imbdense.data.object_pool.layout import META

    _check(args)
    with explained(str(args.config or args.proposals), args.traceback):
        if (args.out / META).is_file():
            return _complete(args)
        if args.features is not None:
            from imbdense.cli._select_sources import precomputed

            with progress_line('objects') as progress:
                writer = precomputed(args, progress)
            writer.finish()
            return show(args.out)
        return _with_model(args)


def _complete(args: argparse.Namespace) -> int:
    """Show what is there.

    Raises:
        UserError: it was made from something else.
    """
    from imbdense.cli._select_sources import differences
    from imbdense.data.object_pool.layout import read_meta

    other = differences(args, read_meta(args.out))
    if other:
        raise UserError(f'{args.out} is complete, but was made from something else ({"; ".join(other)}). Choose '
                        f'another --out, or remove the folder to make it anew.')
    print(f'{args.out} is complete already; remove it to make it anew.')
    return show(args.out)


def _with_model(args: argparse.Namespace) -> int:
    """Run the model on all ranks; the first joins the shards."""
    config = load_config(args)
    refuse_points(config, 'select pool')
    from mmengine.dist import barrier, init_dist, is_distributed, is_main_process

    from imbdense.cli._select_sources import from_model
    from imbdense.mm.checkpoints import install_safe_loading

    set_launcher(config, args)
    if config.launcher != 'none' and not is_distributed():
        init_dist(config.launcher)
    install_safe_loading()
    with progress_line('images') as progress:
        writer: PoolWriter = from_model(args, config, progress)
    barrier()
    if is_main_process():
        writer.finish()
    barrier()
    return show(args.out, quiet=not is_main_process())


def _check(args: argparse.Namespace) -> None:
    """Options that need each other.

    Raises:
        UserError: one is missing, or makes no sense here.
    """
    if args.source == 'coco-json' and args.proposals is None:
        raise UserError('--source coco-json needs --proposals FILE.')
    if args.source != 'coco-json' and (args.proposals is not None or args.features is not None):
        raise UserError('--proposals and --features belong to --source coco-json.')
    if args.config is None and args.features is None:
        raise UserError('give a CONFIG (only --features needs none).')
    if args.source == 'pred' and args.checkpoint is None:
        raise UserError('--source pred needs a CHECKPOINT: without training a model predicts at random.')
    if args.source == 'image' and args.classes is not None:
        raise UserError('--source image knows no classes: leave out --classes.')
    if args.classes is not None and len(set(args.classes)) < len(args.classes):
        raise UserError(f'--classes names one more than once: {args.classes}.')
    if args.source == 'gt' and args.images is not None:
        raise UserError('--source gt takes the annotated images of --split, not --images.')
    if args.ray is not None and (args.ray < 1 or args.launcher != 'none' or args.features is not None):
        raise UserError('--ray takes at least one actor, and goes neither with --launcher nor with --features.')
    if args.ray is not None and find_spec('ray') is None:
        raise UserError("--ray needs Ray Data, which is not installed. Run `pip install 'imbdense[ray]'`.")
    if args.min_area < 1 or (args.pca_dim is not None and args.pca_dim < 1):
        raise UserError('--min-area and --pca-dim must be at least 1.')


def show(folder: Path, *, quiet: bool = False) -> int:
    """Objects per class; 1 when images were left out."""
    from imbdense.data.object_pool import open_pool
    from imbdense.data.object_pool.layout import read_meta

    skipped = read_meta(folder).get('skipped', {})
    if not quiet:
        pool = open_pool(folder)
        _print(pool, folder)
        for name, reason in skipped.items():
            print(f'left out {name}: {reason.removeprefix(f"{name}: ")}', file=sys.stderr)
    return int(bool(skipped))


def _print(pool: ObjectPool, folder: Path) -> None:
    """The table of classes."""
    import numpy as np

    rows: list[tuple[str, Any, Any]] = [('class', 'objects', 'images')]
    for index, name in enumerate(pool.classes):
        own = np.asarray(pool.obj_image)[np.asarray(pool.obj_class) == index]
        rows.append((name, len(own), len(np.unique(own))))
    width = max(len(row[0]) for row in rows)
    for row in rows if pool.classes else ():
        print(f'{row[0]:<{width}}  {row[1]!s:>9}  {row[2]!s:>9}')
    empty = [name for name, objects, _ in rows[1:] if objects == 0]
    if empty:
        print(f'no object of: {", ".join(empty)}')
    print(f'{folder}: {pool.num_objects} objects in {pool.num_images} images, features {pool.obj_feat.shape[1]} x '
          f'{pool.obj_feat.dtype}, {pool.num_objects - len(pool.usable_rows)} not usable, fingerprint '
          f'{pool.fingerprint}')
