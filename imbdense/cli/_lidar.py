"""``imbdense generate lidar``: LiDAR scenes with boxes, in the layout of KITTI."""

from __future__ import annotations

import argparse
from typing import Any

from imbdense.cli._numbers import seed_number
from imbdense.cli.main import UserError

DESCRIPTION = """Generate LiDAR scenes: cars, pedestrians, cyclists (20 : 5 : 1) and clutter on a plane, ray by ray.

The two setups differ in the sensor and in the sizes of the cars, as a source and a target domain. The folder has the
layout of KITTI (velodyne, label_2, calib, ImageSets) and is read by imbdense.KittiBoxDataset."""


def add_lidar_arguments(kinds: Any) -> None:
    """Add the sub-command ``lidar``."""
    from imbdense.data.lidar_scene.setup import SETUPS

    lidar = kinds.add_parser('lidar', help='LiDAR scenes with boxes, as a KITTI folder',
                             formatter_class=argparse.RawDescriptionHelpFormatter, description=DESCRIPTION)
    lidar.add_argument('--out', required=True, metavar='DIR', help='folder of the data set')
    lidar.add_argument('--setup', choices=list(SETUPS), default='beams64', help='sensor and sizes')
    lidar.add_argument('--train', type=int, default=100, metavar='N', help='training scenes (100)')
    lidar.add_argument('--val', type=int, default=60, metavar='N', help='validation scenes (60)')
    lidar.add_argument('--seed', type=seed_number, default=0)


def run_lidar(args: argparse.Namespace) -> int:
    """Generate; 0 when it is complete, also when it was complete before."""
    from imbdense.cli._outputs import progress_line
    from imbdense.data.lidar_scene import SETUPS, generate_lidar_scenes

    try:
        with progress_line('scan scenes') as progress:
            record = generate_lidar_scenes(
                args.out, SETUPS[args.setup], {'train': args.train, 'val': args.val}, args.seed, progress
            )
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from error
    for split, counts in record['objects'].items():
        words = ', '.join(f'{name} {count}' for name, count in counts.items())
        print(f'{args.out}: {record["splits"][split]} {split} scenes with {words}')
    return 0
