"""``imbdense generate cloud-pairs``: two dates of aerial scenes as point clouds, with the change of every point."""

from __future__ import annotations

import argparse
import time
from typing import Any

from imbdense.cli._numbers import seed_number
from imbdense.cli.main import UserError

_DESCRIPTION = """Generate a data set of pairs of point clouds: two surveys of a scene, and what changed between them.

Buildings are built, pulled down and extended, plants appear, grow and vanish, vehicles move, until every change class
has its share of the points. <split>/<pair>/epoch1.npz and epoch2.npz hold the clouds; 'semantic' is the change class:
0 unchanged, 1 new building, 2 demolition, 3 new vegetation, 4 growth, 5 missing vegetation, 6 mobile objects."""


def add_cloud_pairs_arguments(kinds: Any) -> None:
    """Add the sub-command ``cloud-pairs``."""
    from imbdense.data.scene.cloud_pairs.config import PAIR_FORMATS
    from imbdense.data.scene.cloud_pairs.presets import CLOUD_PAIR_PRESETS
    from imbdense.data.scene.clouds.config import MODES

    presets = 'presets:\n' + '\n'.join(f'  {name:<15} {item.purpose}' for name, item in CLOUD_PAIR_PRESETS.items())
    pairs = kinds.add_parser('cloud-pairs', help='two dates of aerial scenes as point clouds', epilog=presets,
                             formatter_class=argparse.RawDescriptionHelpFormatter, description=_DESCRIPTION)
    pairs.add_argument('--out', required=True, metavar='DIR', help='folder of the data set')
    pairs.add_argument('--preset', choices=list(CLOUD_PAIR_PRESETS), default='small-lidar')
    pairs.add_argument('--mode', choices=MODES, help='how the scenes are surveyed')
    pairs.add_argument('--num', type=int, metavar='N', help='number of pairs')
    pairs.add_argument('--val', type=int, metavar='N', help='how many of them (the last ones) are for validation')
    pairs.add_argument('--seed', type=seed_number, default=0)
    pairs.add_argument('--workers', type=int, default=1, metavar='N', help='processes; the files do not depend on it')
    pairs.add_argument('--formats', nargs='+', choices=PAIR_FORMATS, help='files of a cloud (npz)')
    pairs.add_argument('--change-share', type=float, metavar='F', help='share of the points of date 2 that changed')
    pairs.add_argument('--kinds', metavar='SHARES', help="weights of change classes: 'new building=3,demolition=1'")
    pairs.add_argument('--registration', type=float, nargs=2, metavar=('M', 'DEG'),
                       help='deviation of the rigid error of each date per axis (0.05 m, 0.02 degrees)')
    pairs.add_argument('--earthworks', type=int, metavar='N', help='places of cut or fill (ignored points)')
    pairs.add_argument('--size', type=float, metavar='M', help='side of a scene')
    pairs.add_argument('--density', type=float, metavar='D', help='laser pulses per square metre')


def run_cloud_pairs(args: argparse.Namespace) -> int:
    """Generate the pairs; 0 when the data set is complete."""
    from imbdense.data.scene.cloud_pairs import CLOUD_PAIR_PRESETS, CloudPairPlan, generate_cloud_pairs

    preset = CLOUD_PAIR_PRESETS[args.preset]
    if args.workers < 1:
        raise UserError(f'--workers must be at least 1, but got {args.workers}.')
    start = time.perf_counter()
    try:
        number = preset.scenes if args.num is None else args.num
        val = min(preset.val, max(number - 1, 0)) if args.val is None else args.val
        plan = CloudPairPlan(preset.pair.changed(**_changes(args)), number, val)
        record = generate_cloud_pairs(plan, args.out, workers=args.workers, report=lambda line: print(line, flush=True))
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        raise UserError(str(error)) from error
    counts = record['class_counts']['train']
    total, width = sum(counts.values()), max(map(len, counts))
    print(f'{"change":<{width}}    points     share   (train, date 2)')
    for name, value in counts.items():
        print(f'{name:<{width}}  {value:8d}  {100 * value / max(total, 1):7.3f}%')
    print(f'done in {time.perf_counter() - start:.1f} s')
    return 0


def _changes(args: argparse.Namespace) -> dict[str, Any]:
    """Options → changes of the preset."""
    from imbdense.cli.generate import parse_profile

    scene: dict[str, Any] = {'seed': args.seed} | ({} if args.size is None else {'size': args.size})
    cloud: dict[str, Any] = {'scene': scene}
    if args.mode is not None:
        cloud['mode'] = args.mode
    if args.formats is not None:
        cloud['formats'] = tuple(args.formats)
    if args.density is not None:
        cloud['lidar'] = {'density': args.density}
    changes: dict[str, Any] = {'cloud': cloud}
    if args.kinds is not None:
        kinds = parse_profile(args.kinds)
        if isinstance(kinds, str):
            raise UserError(f"--kinds takes 'class=weight,...', but got {args.kinds!r}.")
        changes['kinds'] = kinds
    if args.registration is not None:
        changes['registration'] = tuple(args.registration)
    for name in ('change_share', 'earthworks'):
        if getattr(args, name) is not None:
            changes[name] = getattr(args, name)
    return changes
