"""Generate synthetic scenes, pairs, point clouds and LiDAR scans, and banks of cut-out objects.

  imbdense generate scenes --out data/demo --preset demo --workers 2
  imbdense generate scenes --out data/ir100 --preset small --num 8 --imbalance-ratio 100 --label-noise 0.2
  imbdense generate scenes --out data/mine --preset small --cfg-options layout.geojson=town.geojson mix.occlusion=0.5
  imbdense generate pairs --out data/pairs --preset demo --change-share 0.05 --workers 2
  imbdense generate clouds --out data/clouds --preset small --num 8 --seed 0 --workers 2
  imbdense generate cloud-pairs --out data/cloud_pairs --preset small-lidar --change-share 0.05 --workers 2
  imbdense generate lidar --out data/lidar/beams32 --setup beams32
  imbdense generate bank configs/segmentation/unet_scenes_bank_paste.py --out data/scenes/bank
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from typing import Any

from imbdense.cli._numbers import seed_number
from imbdense.cli.main import UserError

_DIALS = {'imbalance_ratio': 'mix.imbalance_ratio', 'class_absent_prob': 'mix.class_absent_prob',
          'object_scale': 'mix.object_scale', 'occlusion': 'mix.occlusion', 'label_noise': 'label_noise.fraction',
          'size': 'size'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands and their options."""
    from imbdense.cli._bank import add_bank_arguments
    from imbdense.cli._cloud_pairs import add_cloud_pairs_arguments
    from imbdense.cli._clouds import add_clouds_arguments
    from imbdense.cli._lidar import add_lidar_arguments
    from imbdense.cli._pairs import add_pairs_arguments
    from imbdense.data.scene.classes import MAPPINGS
    from imbdense.data.scene.presets import PRESETS

    kinds = parser.add_subparsers(dest='what', required=True, metavar='WHAT')
    add_bank_arguments(kinds)
    add_pairs_arguments(kinds)
    add_clouds_arguments(kinds)
    add_cloud_pairs_arguments(kinds)
    add_lidar_arguments(kinds)
    scenes = kinds.add_parser('scenes', help='aerial scenes: images, masks, instances, depth, ortho',
                              formatter_class=argparse.RawDescriptionHelpFormatter,
                              description='Generate a data set of aerial scenes.',
                              epilog='presets:\n' + '\n'.join(f'  {name:<9} {preset.purpose}'
                                                              for name, preset in PRESETS.items()))
    scenes.add_argument('--out', required=True, metavar='DIR', help='folder of the data set')
    scenes.add_argument('--preset', choices=list(PRESETS), default='demo')
    scenes.add_argument('--num', type=int, metavar='N', help='number of scenes')
    scenes.add_argument('--val', type=int, metavar='N', help='how many of them (the last ones) are for validation')
    scenes.add_argument('--seed', type=seed_number, default=0)
    scenes.add_argument('--workers', type=int, default=1, metavar='N', help='processes; the files do not depend on it')
    scenes.add_argument('--mapping', choices=list(MAPPINGS), help='training classes')
    scenes.add_argument('--full', action='store_true', help='also depth, orthophoto, surface model, class map')
    scenes.add_argument('--profile', help="stpls3d, zipf, balanced, or shares: 'vehicle=10,bike=1'")
    scenes.add_argument('--imbalance-ratio', type=float, metavar='R',
                        help='pixels of the most to the least frequent object class')
    scenes.add_argument('--class-absent-prob', type=float, metavar='P', help='a class is missing in a scene')
    scenes.add_argument('--object-scale', type=float, metavar='S', help='size factor of the small objects')
    scenes.add_argument('--occlusion', type=float, metavar='F', help='share of trees that reach over small objects')
    scenes.add_argument('--label-noise', type=float, metavar='F', help='share of instances with faulty labels (train)')
    scenes.add_argument('--size', type=float, metavar='M', help='side of a scene in metres')
    scenes.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
                        help='any field of the scene configuration, for example flight.agl=40')


def run(args: argparse.Namespace) -> int:
    """Generate what ``args`` asks for; 0 when it is complete."""
    from imbdense.cli._bank import run_bank
    from imbdense.cli._cloud_pairs import run_cloud_pairs
    from imbdense.cli._clouds import run_clouds
    from imbdense.cli._lidar import run_lidar
    from imbdense.cli._pairs import run_pairs

    verbs = {'bank': run_bank, 'pairs': run_pairs, 'clouds': run_clouds, 'cloud-pairs': run_cloud_pairs,
             'lidar': run_lidar, 'scenes': _run_scenes}
    return verbs[args.what](args)


def _run_scenes(args: argparse.Namespace) -> int:
    """Generate a data set of scenes."""
    from imbdense.data.scene.dataset import DatasetPlan, generate_dataset
    from imbdense.data.scene.presets import PRESETS

    preset = PRESETS[args.preset]
    if args.workers < 1:
        raise UserError(f'--workers must be at least 1, but got {args.workers}.')
    start = time.perf_counter()
    try:
        scene = preset.scene.changed(**_overrides(args, preset.scene.to_dict()))
        number = preset.scenes if args.num is None else args.num
        val = min(preset.val, max(number - 1, 0)) if args.val is None else args.val
        plan = DatasetPlan(scene, number, val, args.mapping or preset.mapping, args.full)
        record = generate_dataset(plan, args.out, workers=args.workers, report=lambda line: print(line, flush=True))
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        raise UserError(str(error)) from error
    _print_shares(record)
    print(f'done in {time.perf_counter() - start:.1f} s')
    return 0


def _overrides(args: argparse.Namespace, base: dict[str, Any]) -> dict[str, Any]:
    """Options → nested changes of the preset."""
    pairs = [(field, getattr(args, option)) for option, field in _DIALS.items() if getattr(args, option) is not None]
    if args.profile is not None:
        pairs.append(('mix.profile', parse_profile(args.profile)))
        if args.profile == 'balanced' and args.imbalance_ratio is None:
            pairs.append(('mix.imbalance_ratio', None))
    changes: dict[str, Any] = {'seed': args.seed}
    for field, value in [*pairs, *map(_option, args.cfg_options)]:
        *parents, name = field.split('.')
        if len(parents) > 1 or (parents and not isinstance(base.get(parents[0]), dict)):
            raise UserError(f'there is no configuration field {field!r}; the parts are {sorted(base)}.')
        (changes.setdefault(parents[0], {}) if parents else changes)[name] = value
    return changes


def _option(text: str) -> tuple[str, Any]:
    """``key=value`` with a JSON value, or a plain string."""
    key, sign, value = text.partition('=')
    if not sign:
        raise UserError(f'--cfg-options takes KEY=VALUE, but got {text!r}.')
    try:
        return key, _tupled(json.loads(value))
    except json.JSONDecodeError:
        return key, value


def _tupled(value: Any) -> Any:
    """Lists of a JSON value → tuples, as the configuration holds them."""
    return tuple(value) if isinstance(value, list) else value


def parse_profile(text: str) -> str | dict[str, float]:
    """Return a profile name, or the shares of 'class=share,…'."""
    if '=' not in text:
        return text
    shares = {}
    for part in text.split(','):
        name, _, value = part.partition('=')
        try:
            shares[name.strip()] = float(value)
        except ValueError:
            raise UserError(f'--profile: expected class=number, but got {part!r}.') from None
    return shares


def _print_shares(record: dict[str, Any]) -> None:
    """Table of the training split."""
    counts = record['class_counts']['train']
    width = max(map(len, record['classes']))
    print(f'{"class":<{width}}  {"pixels":>8}  {"images":>6}  instances   (train)')
    rows: Sequence[tuple[str, float]] = sorted(record['train_shares'].items(), key=lambda item: -item[1])
    for name, share in rows:
        instances = counts['instances'].get(name, '-')
        print(f'{name:<{width}}  {100 * share:7.3f}%  {counts["images"][name]:6d}  {instances}')
    for key, words in (('imbalance_ratio', 'all classes'), ('object_imbalance_ratio', 'raw object classes (the dial)')):
        if record[key] is not None:
            print(f'imbalance ratio over {words}: {record[key]:.0f}')
