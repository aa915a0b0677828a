"""Make a map of a GeoTIFF of any size, or a change map of two, with a trained segmentor.

  imbdense predict raster CONFIG CHECKPOINT scene.tif --out map
  imbdense predict raster CONFIG CHECKPOINT t1.tif t2.tif --out change --layers change p_change from_to
  imbdense predict raster CONFIG CHECKPOINT t1.tif t2.tif --out change --min-area 500 --polygon-majority parcels.gpkg
  imbdense predict raster CONFIG CHECKPOINT --out change     (the sources of the config: heights, derivatives, formulas)
  torchrun --nproc-per-node 4 -m imbdense predict raster CONFIG CHECKPOINT scene.tif --out map

Writes one cloud-optimised GeoTIFF per layer (label.tif; of two dates change.tif, label_t1.tif, label_t2.tif,
from_to.tif) on the grid of the first file, with "no data" where any date has none, class names and colours; areas.json
and, with --polygons, a GeoPackage. Interrupted or killed: run the same command again, it goes on where it was. The
files are the same for any --workers, --batch-size, --block-size and number of processes. Several machines: give each
--shard 0/4, 1/4, ..., then run once without --shard.

Exit code: 0 done, 1 no pixel holds data or a shard was finished whose others are missing, 2 wrong use.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbdense.cli._device import add_device_argument
from imbdense.cli._explain import explained
from imbdense.cli._map_report import check_outputs, report_map
from imbdense.cli._outputs import progress_line
from imbdense.cli._point_configs import refuse_points
from imbdense.cli._runner import add_config_arguments, load_config
from imbdense.cli.main import UserError

if TYPE_CHECKING:
    from imbdense.mm.raster import RasterJob

POLL_SECONDS = 0.5
UNITS = '.unfinished'
"""Folder inside ``--out`` for what is finished of an unfinished map."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command."""
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='the .pth file')
    parser.add_argument('rasters', nargs='*', metavar='RASTER', help='one file per date, the earliest first; none: the '
                        'sources of the test data set, where it is a raster data set')
    parser.add_argument('--out', type=Path, default=Path('map'), help='folder for the results (map)')
    parser.add_argument('--bands', nargs='+', type=int, metavar='N', help='1-based bands in the order of the model '
                        '(default: as the config loads them, else all)')
    parser.add_argument('--align', action='store_true', help='resample other dates to the grid of the first')
    parser.add_argument('--layers', nargs='+', default=[], metavar='NAME', help='label, confidence; change, p_change, '
                        'label_t1, label_t2, from_to; entropy (default: all but probabilities)')
    parser.add_argument('--mode', choices=('auto', 'halo', 'blend'), default='auto', help='halo: context around each '
                        'tile is cut off; blend: average of overlapping tiles (default: halo where it is cheap)')
    parser.add_argument('--tile', type=int, help='side of a tile (default: the window of test_cfg or the size of the '
                        'preprocessor, else 512)')
    parser.add_argument('--overlap', type=int, help='pixels of context (halo; default: measured) or shared by two '
                        'tiles (blend; default: a quarter)')
    parser.add_argument('--batch-size', type=int, help='tiles at once: on a CPU one per thread (default: as many as '
                        'torch has threads), on a GPU in one pass, where that changes no bit (1)')
    parser.add_argument('--block-size', type=int, help='columns computed at a time (default: what 256 MB allow)')
    parser.add_argument('--workers', type=int, default=2, help='threads that read ahead (2)')
    parser.add_argument('--shard', metavar='I/N', help='only part I (from 0) of N; without it, also join the parts')
    parser.add_argument('--amp', action='store_true', help='run the network in half precision')
    parser.add_argument('--min-area', type=float, metavar='M2', help='give patches of less than M2 square metres to '
                        'their largest neighbour')
    parser.add_argument('--polygon-majority', metavar='FILE', help='give each polygon of a GeoPackage or GeoJSON its '
                        'most frequent class, where that has --min-share of its pixels')
    parser.add_argument('--min-share', type=float, help='of --polygon-majority (0.9)')
    parser.add_argument('--polygons', action='store_true', help='also write the regions of the main layer (GeoPackage)')
    parser.add_argument('--area-points', type=Path, metavar='CSV', help='reference points (x, y, class) for area '
                        'estimates with intervals')
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Predict this process's part; the first process joins all parts."""
    for name, low in (('batch_size', 1), ('block_size', 1), ('workers', 0), ('tile', 1), ('overlap', 0)):
        if getattr(args, name) is not None and getattr(args, name) < low:
            raise UserError(f'--{name.replace("_", "-")} must be at least {low}, but is {getattr(args, name)}.')
    if args.min_area is not None and not 0 < args.min_area < math.inf:
        raise UserError(f'--min-area must be a number of square metres above 0, but is {args.min_area}.')
    if args.min_share is not None and (args.polygon_majority is None or not 0 < args.min_share <= 1):
        raise UserError(f'--min-share must be in (0, 1] and goes with --polygon-majority, but is {args.min_share}.')
    shard, shards, joins = _share(args)
    config = load_config(args)
    refuse_points(config, 'predict raster')
    with explained(args.config, args.traceback):
        from imbdense.data.raster.reader import small_cache
        from imbdense.mm.raster import one_thread_per_tile

        device = _device(args)
        if args.batch_size is None:
            args.batch_size = _threads() if device == 'cpu' else 1
        with one_thread_per_tile(device), small_cache():
            try:
                job = _start(args, config, device)
            except (ValueError, OSError) as error:
                if args.traceback:
                    raise
                raise UserError(str(error)) from error
            if _is_first(args):
                _announce(job)
            return _predict(args, job, shard, shards, joins)


def _start(args: argparse.Namespace, config: Any, device: str) -> RasterJob:
    """Load the model, open the rasters, lay the tiles, open the units."""
    from imbdense.data.raster.map_filters import MapFilters
    from imbdense.mm.checkpoints import install_safe_loading
    from imbdense.mm.raster import make_plan, open_rasters, set_scene_transitions, start_job

    install_safe_loading()
    network, stack = open_rasters(config, args.checkpoint, args.rasters, bands=args.bands, align=args.align,
                                  tile=args.tile, device=device, amp=args.amp)
    check_outputs(args, network, stack)
    filters = None
    if args.min_area is not None or args.polygon_majority is not None:
        filters = MapFilters.of(stack.grid, args.min_area or 0.0, args.polygon_majority, args.min_share or 0.9)
    rate = set_scene_transitions(network, stack, args.tile or network.tile)
    if rate is not None and _is_first(args):
        print(f'transitions estimated from the scene itself: {100 * rate:.2f} % of the pixels are expected to change.')
    plan = make_plan(network, stack.channels, stack.grid, args.mode, args.tile, args.overlap)
    return start_job(network, stack, plan, args.out / UNITS, args.layers, args.block_size, filters)


def _predict(args: argparse.Namespace, job: RasterJob, shard: int, shards: int, joins: bool) -> int:
    """Compute, wait for the others, join, measure."""
    from imbdense.mm.raster import predict_units, write_maps

    units = job.store.layout.units(shard, shards)
    with progress_line('predict') as progress:
        sweep = predict_units(job, units, threads=args.workers, batch=args.batch_size, progress=progress)
    if sweep.batches.size < args.batch_size and _is_first(args):
        print('batches of several tiles would change last bits on this device, so tiles ran one by one.')
    everything = job.store.layout.units()
    if not joins:
        if args.shard:
            missing = len(job.store.unfinished(everything))
            print(f'shard {args.shard} is finished; ' + (
                f'{missing} of {len(everything)} units of other shards are missing.' if missing
                else 'all are: run the same command without --shard to join them.'))
        return 0
    while job.store.unfinished(everything):  # torchrun ends all processes when one fails
        time.sleep(POLL_SECONDS)
    files = write_maps(job, args.out, report=lambda what: print(f'filter: {what}'))
    job.stack.close()
    return report_map(args, job, files)


def _announce(job: RasterJob) -> None:
    """One line about how it is done, and what slows it down."""
    plan, grid = job.plan, job.stack.grid
    how = f'context of {plan.overlap} pixels cut off' if plan.mode == 'halo' else f'{plan.overlap} pixels blended'
    print(f'{grid.height} x {grid.width} pixels, {len(job.stack.bands)} band(s), {job.network.dates} date(s); tiles '
          f'of {plan.tile}, {how}; layers {", ".join(layer.name for layer in job.written)}')
    if job.network.loading.resizes:
        print('note: the test pipeline of the config resizes; the raster is predicted at its own pixel size.')
    if len(set(job.stack.types)) > 1:
        print(f'note: the dates hold numbers of different types ({", ".join(job.stack.types)}); both are normalised as '
              f'in training. Are they in the same units?')
    if job.stack.alpha_is_mask:
        print(f'note: the last band of {job.stack.paths[0]} is marked as alpha and read as a mask; if it holds values, '
              f'name the bands with --bands.')
    if job.stack.in_strips and job.store.layout.panels > 1:
        print(f'note: {job.stack.paths[0]} is stored in strips, which are decoded whole for every panel of '
              f'{job.store.layout.panel} columns; `rio convert --co tiled=yes` makes tiles of them.')


def _share(args: argparse.Namespace) -> tuple[int, int, bool]:
    """(shard, shards, whether this process joins): of ``--shard``, else of the processes of torchrun."""
    if args.shard:
        parts = args.shard.split('/')
        if len(parts) != 2 or not all(part.isdigit() for part in parts) or not int(parts[0]) < int(parts[1]):
            raise UserError(f'--shard must be I/N with 0 <= I < N, for example 0/4, but is {args.shard!r}.')
        return int(parts[0]), int(parts[1]), False
    rank, world = int(os.environ.get('RANK', '0')), int(os.environ.get('WORLD_SIZE', '1'))
    return rank, world, rank == 0


def _is_first(args: argparse.Namespace) -> bool:
    """Whether this process speaks for all."""
    return bool(args.shard) or os.environ.get('RANK', '0') == '0'


def _device(args: argparse.Namespace) -> str:
    """``--device``, else the GPU of this process of torchrun, else the first accelerator or the CPU."""
    import torch
    from mmengine.device import get_device

    if args.device is None and torch.cuda.is_available() and 'LOCAL_RANK' in os.environ:
        return f'cuda:{os.environ["LOCAL_RANK"]}'
    return str(args.device or get_device())


def _threads() -> int:
    """Threads torch would use."""
    import torch

    return torch.get_num_threads()
