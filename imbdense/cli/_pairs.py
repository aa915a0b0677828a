"""``imbdense generate pairs``: two dates of aerial scenes with exact change maps."""

from __future__ import annotations

import argparse
import time
from typing import Any

from imbdense.cli._numbers import seed_number
from imbdense.cli.main import UserError

_DESCRIPTION = """Generate a data set of pairs: two dates of aerial scenes, the change between them, land cover of both.

Buildings, plants, objects and patches of ground are edited until the asked share of pixels has changed; labels are
exact. Read it with imbdense.ChangePairDataset; rasters/ holds GeoTIFFs (RGB + near infrared, surface and terrain
models, labels). A killed run goes on where it stopped."""


def add_pairs_arguments(kinds: Any) -> None:
    """Add the sub-command ``pairs``."""
    from imbdense.data.scene.pairs.presets import PAIR_PRESETS

    presets = 'presets:\n' + '\n'.join(f'  {name:<9} {preset.purpose}' for name, preset in PAIR_PRESETS.items())
    pairs = kinds.add_parser('pairs', help='two dates of aerial scenes with exact change maps', epilog=presets,
                             formatter_class=argparse.RawDescriptionHelpFormatter, description=_DESCRIPTION)
    pairs.add_argument('--out', required=True, metavar='DIR', help='folder of the data set')
    pairs.add_argument('--preset', choices=list(PAIR_PRESETS), default='demo')
    pairs.add_argument('--num', type=int, metavar='N', help='number of scenes')
    pairs.add_argument('--val', type=int, metavar='N', help='how many of them (the last ones) are for validation')
    pairs.add_argument('--seed', type=seed_number, default=0)
    pairs.add_argument('--workers', type=int, default=1, metavar='N', help='processes; the files do not depend on it')
    pairs.add_argument('--change-share', type=float, metavar='F',
                       help='share of the pixels that change, 0 to 0.5 (0.05)')
    pairs.add_argument('--season', type=float, metavar='S', help='0 to 1: how far plants have turned at date 2')
    pairs.add_argument('--illumination', type=float, metavar='S', help='0 to 1: how far sun and gains have moved')
    pairs.add_argument('--misregistration', type=float, metavar='PIXELS', help='shift of the image of date 2, 0 to 20')
    pairs.add_argument('--gsd', type=float, metavar='M', help='size of a pixel')
    pairs.add_argument('--tile', type=int, metavar='PIXELS', help='side of a tile')
    pairs.add_argument('--size', type=float, metavar='M', help='side of a scene')
    pairs.add_argument('--imbalance-ratio', type=float, metavar='R',
                       help='pixels of the most to the least frequent object class at date 1')


def run_pairs(args: argparse.Namespace) -> int:
    """Generate the pairs; 0 when the data set is complete."""
    from imbdense.data.scene.pairs import PAIR_PRESETS, PairPlan, generate_pairs

    preset = PAIR_PRESETS[args.preset]
    if args.workers < 1:
        raise UserError(f'--workers must be at least 1, but got {args.workers}.')
    start = time.perf_counter()
    try:
        scene: dict[str, Any] = {'seed': args.seed}
        if args.size is not None:
            scene['size'] = args.size
        if args.imbalance_ratio is not None:
            scene['mix'] = {'imbalance_ratio': args.imbalance_ratio}
        dials = ('change_share', 'season', 'illumination', 'misregistration', 'gsd')
        chosen = {name: getattr(args, name) for name in dials if getattr(args, name) is not None}
        number = preset.scenes if args.num is None else args.num
        val = min(preset.val, max(number - 1, 0)) if args.val is None else args.val
        tile = preset.tile if args.tile is None else args.tile
        plan = PairPlan(preset.pair.changed(scene=scene, **chosen), number, val, tile)
        record = generate_pairs(plan, args.out, workers=args.workers, report=lambda line: print(line, flush=True))
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        raise UserError(str(error)) from error
    _print(record)
    print(f'done in {time.perf_counter() - start:.1f} s')
    return 0


def _print(record: dict[str, Any]) -> None:
    """Land cover at both dates and what changed, training split."""
    names, table = record['land_cover'], record['from_to']['train']
    total = sum(map(sum, table))
    width = max(map(len, names))
    print(f'{"land cover":<{width}}   date 1   date 2  changed away   (train, % of all pixels)')
    for number, name in enumerate(names):
        first, second = sum(table[number]), sum(row[number] for row in table)
        shares = [100 * value / max(total, 1) for value in (first, second, first - table[number][number])]
        print(f'{name:<{width}}  {shares[0]:7.3f}  {shares[1]:7.3f}  {shares[2]:12.3f}')
    for name in record['outside_tolerance']:
        print(f'{name}: the asked share of change was not reached, see rasters/{name}/manifest.json')
