"""How far has a surface moved between two point clouds, and is it more than the noise? Every field is kept.

  imbdense compare clouds 2019.laz 2023.laz --out change.laz                       vertical distances (from the air)
  imbdense compare clouds a.laz b.laz --normal-radii 1 2 4 --radius 0.5 --out change.laz
  imbdense compare clouds a.laz b.laz --method c2c --out change.laz
  imbdense compare clouds a.laz b.laz --method dsm --cell 1 --out change.npz

m3c2: at the points of the second cloud, distances along the normal, positive where the second epoch is on the normal's
side, and the level of detection at 95 %; `m3c2_significant` is 1 where |distance| > level. c2c: distance to the nearest
point of the first. dsm: highest point per cell, second - first.

The output has all points and fields of the second cloud (LAS and LAZ to the bit) and the new dimensions; --spacing
measures at one point per cell and gives its result to the others there. --registration-error is the standard deviation
of the alignment: with 0, a shift of the whole cloud is called change.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imbdense.cli._outputs import check_cloud_out, progress_line
from imbdense.cli.main import UserError

if TYPE_CHECKING:
    from imbdense.data.points import PointCloud

METHODS = ('m3c2', 'c2c', 'dsm')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb's part."""
    parser.add_argument('first', type=Path, help='cloud of the first epoch')
    parser.add_argument('second', type=Path, help='cloud of the second epoch')
    parser.add_argument('--out', type=Path, required=True, help='file to write: .las .laz .ply .txt .csv .npz')
    parser.add_argument('--method', choices=METHODS, default='m3c2')
    parser.add_argument('--radius', type=float, default=1.0, metavar='M', help='m3c2: radius of the cylinder (1)')
    parser.add_argument('--max-distance', type=float, default=10.0, metavar='M', help='m3c2: its half length (10)')
    parser.add_argument('--normal-radii', type=float, nargs='+', metavar='M',
                        help='m3c2: estimate normals within these radii; without it they are vertical')
    parser.add_argument('--registration-error', type=float, default=0.0, metavar='M', help='m3c2: see above (0)')
    parser.add_argument('--robust', action='store_true', help='m3c2: medians and quartiles')
    parser.add_argument('--engine', choices=('auto', 'numpy', 'py4dgeo'), default='auto', help='m3c2: who measures')
    parser.add_argument('--spacing', type=float, metavar='M', help='m3c2: edge of the cells, see above')
    parser.add_argument('--cell', type=float, default=1.0, metavar='M', help='dsm: edge of a cell (1)')


def run(args: argparse.Namespace) -> int:
    """Measure, write, tell; exit code 0."""
    from imbdense.core.change3d import CloudError
    from imbdense.data.points import PointReadError, PointWriteError, read_points, write_points
    from imbdense.data.points.pairs import check_same_crs
    from imbdense.utils.files import FileWriteError

    check_cloud_out(args.out, (args.first, args.second))
    try:
        first, second = read_points(args.first), read_points(args.second)
        check_same_crs(first, second, (str(args.first), str(args.second)))
        found = {'m3c2': _m3c2, 'c2c': _c2c, 'dsm': _dsm}[args.method](args, first, second)
        las = {path.suffix.lower() for path in (args.out, args.second)} <= {'.las', '.laz'}
        cloud = second.replace(attributes={**second.attributes, **found})
        write_points(args.out, cloud, like=args.second if las else None, exchange=found)
    except CloudError as error:
        names = str(error).replace('epoch1', str(args.first)).replace('epoch2', str(args.second))
        raise UserError(names.replace('reference', str(args.first)).replace('compared', str(args.second))) from error
    except (PointReadError, PointWriteError, FileWriteError, FileNotFoundError, ValueError, ImportError) as error:
        raise UserError(str(error)) from error
    print(f'written to {args.out}: {", ".join(found)}')
    return 0


def _m3c2(args: argparse.Namespace, first: PointCloud, second: PointCloud) -> dict[str, NDArray[Any]]:
    """M3C2 at every point, or at one per cell."""
    import torch

    from imbdense.core.change3d import m3c2
    from imbdense.core.points import grid_sample

    core, place = second.xyz, None
    if args.spacing is not None:
        cells = grid_sample(torch.from_numpy(second.xyz - second.origin), args.spacing, mode='first')
        core, place = second.xyz[np.asarray(cells.index)], cells.inverse.numpy()
    direction = {'normals': (0.0, 0.0, 1.0)} if args.normal_radii is None else {'normal_radii': args.normal_radii}
    with progress_line('measure') as progress:
        result = m3c2(
            first.xyz, second.xyz, core, cylinder_radius=args.radius, max_distance=args.max_distance,
            registration_error=args.registration_error, robust=args.robust, engine=args.engine, progress=progress,
            **direction,
        )  # fmt: skip
    known = ~np.isnan(result.distance)
    median = f'{np.median(result.distance[known]):.3f} m' if known.any() else 'unknown'
    print(f'{len(core)} core points ({result.engine}): {int(known.sum())} with both epochs in the cylinder, median '
          f'distance {median}, {int(result.significant.sum())} beyond their level of detection')
    columns = {
        'm3c2_distance': result.distance.astype(np.float32), 'm3c2_lod': result.lod.astype(np.float32),
        'm3c2_significant': result.significant.astype(np.uint8),
        'm3c2_spread1': result.spread1.astype(np.float32), 'm3c2_spread2': result.spread2.astype(np.float32),
        'm3c2_count1': result.count1.astype(np.int32), 'm3c2_count2': result.count2.astype(np.int32),
    }  # fmt: skip
    return columns if place is None else {name: values[place] for name, values in columns.items()}


def _c2c(args: argparse.Namespace, first: PointCloud, second: PointCloud) -> dict[str, NDArray[Any]]:
    """Distance to the nearest point."""
    from imbdense.core.change3d import cloud_to_cloud

    distance, _ = cloud_to_cloud(first.xyz, second.xyz)
    print(f'{len(distance)} points: median distance {np.median(distance):.3f} m, largest {distance.max():.3f} m')
    return {'c2c_distance': distance.astype(np.float32)}


def _dsm(args: argparse.Namespace, first: PointCloud, second: PointCloud) -> dict[str, NDArray[Any]]:
    """Difference of the surface models under every point."""
    from imbdense.core.change3d import dsm_difference

    found = dsm_difference(first.xyz, second.xyz, args.cell)
    height, width = found.difference.shape
    print(f'{height} x {width} cells of {args.cell:g} m: {int(np.isfinite(found.difference).sum())} with both epochs')
    return {'dsm_difference': found.at(second.xyz).astype(np.float32)}
