"""``imbdense generate clouds``: labelled point clouds of aerial scenes."""

from __future__ import annotations

import argparse
import time
from typing import Any

from imbdense.cli._numbers import seed_number
from imbdense.cli.main import UserError

_DESCRIPTION = """Generate a data set of labelled point clouds of aerial scenes.

Photogrammetry: the images of a flight are matched and fused, with the faults dense matching has. Lidar: airborne scan
lines with echoes and intensities. The long-tail dial counts points of the cloud. A killed run goes on where it
stopped."""
_DIALS = {'imbalance_ratio': 'imbalance_ratio', 'class_absent_prob': 'class_absent_prob',
          'min_instances': 'min_instances'}


def add_clouds_arguments(kinds: Any) -> None:
    """Add the sub-command ``clouds``."""
    from imbdense.data.scene.classes import MAPPINGS
    from imbdense.data.scene.clouds.config import FORMATS, MODES
    from imbdense.data.scene.clouds.presets import CLOUD_PRESETS

    presets = 'presets:\n' + '\n'.join(f'  {name:<15} {preset.purpose}' for name, preset in CLOUD_PRESETS.items())
    clouds = kinds.add_parser('clouds', help='labelled point clouds of aerial scenes', epilog=presets,
                              formatter_class=argparse.RawDescriptionHelpFormatter, description=_DESCRIPTION)
    clouds.add_argument('--out', required=True, metavar='DIR', help='folder of the data set')
    clouds.add_argument('--preset', choices=list(CLOUD_PRESETS), default='small')
    clouds.add_argument('--mode', choices=MODES, help='how the scenes are surveyed')
    clouds.add_argument('--num', type=int, metavar='N', help='number of clouds')
    clouds.add_argument('--val', type=int, metavar='N', help='how many of them (the last ones) are for validation')
    clouds.add_argument('--seed', type=seed_number, default=0)
    clouds.add_argument('--workers', type=int, default=1, metavar='N', help='processes; the files do not depend on it')
    clouds.add_argument('--mapping', choices=list(MAPPINGS), help='training classes named in dataset.json')
    clouds.add_argument('--formats', nargs='+', choices=FORMATS, help='files of a cloud (npz)')
    clouds.add_argument('--images', action='store_true', help='also images, masks, instances and depths of the flight')
    clouds.add_argument('--size', type=float, metavar='M', help='side of a scene')
    clouds.add_argument('--voxel', type=float, metavar='M', help='grid of a photogrammetric cloud')
    clouds.add_argument('--density', type=float, metavar='D', help='laser pulses per square metre')
    clouds.add_argument('--profile', help="stpls3d, zipf, balanced, or shares: 'vehicle=10,bike=1'")
    clouds.add_argument('--imbalance-ratio', type=float, metavar='R',
                        help='points of the most to the least frequent object class')
    clouds.add_argument('--class-absent-prob', type=float, metavar='P', help='a class is missing in a scene')
    clouds.add_argument('--min-instances', type=int, metavar='N', help='of every present object class')


def run_clouds(args: argparse.Namespace) -> int:
    """Generate the clouds; 0 when the data set is complete."""
    from imbdense.data.scene.clouds import CLOUD_PRESETS, CloudPlan, generate_clouds

    preset = CLOUD_PRESETS[args.preset]
    if args.workers < 1:
        raise UserError(f'--workers must be at least 1, but got {args.workers}.')
    start = time.perf_counter()
    try:
        cloud = preset.cloud.changed(**_changes(args))
        number = preset.scenes if args.num is None else args.num
        val = min(preset.val, max(number - 1, 0)) if args.val is None else args.val
        plan = CloudPlan(cloud, number, val, args.mapping or preset.mapping)
        record = generate_clouds(plan, args.out, workers=args.workers, report=lambda line: print(line, flush=True))
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        raise UserError(str(error)) from error
    _print(record)
    print(f'done in {time.perf_counter() - start:.1f} s')
    return 0


def _changes(args: argparse.Namespace) -> dict[str, Any]:
    """Options → changes of the preset."""
    from imbdense.cli.generate import parse_profile

    mix = {field: getattr(args, option) for option, field in _DIALS.items() if getattr(args, option) is not None}
    if args.profile is not None:
        mix['profile'] = parse_profile(args.profile)
        if args.profile == 'balanced' and args.imbalance_ratio is None:
            mix['imbalance_ratio'] = None
    scene: dict[str, Any] = {'seed': args.seed, 'mix': mix}
    if args.size is not None:
        scene['size'] = args.size
    changes: dict[str, Any] = {'scene': scene, 'images': args.images}
    if args.mode is not None:
        changes['mode'] = args.mode
    if args.formats is not None:
        changes['formats'] = tuple(args.formats)
    if args.voxel is not None:
        changes['stereo'] = {'voxel': args.voxel}
    if args.density is not None:
        changes['lidar'] = {'density': args.density}
    return changes


def _print(record: dict[str, Any]) -> None:
    """Table of the training split, raw classes."""
    counts = {name: value for name, value in record['raw_counts']['train'].items() if value}
    total, width = sum(counts.values()), max(map(len, counts), default=5)
    print(f'{"class":<{width}}    points     share   (train)')
    for name, value in sorted(counts.items(), key=lambda item: -item[1]):
        print(f'{name:<{width}}  {value:8d}  {100 * value / total:7.3f}%')
