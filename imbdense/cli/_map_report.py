"""What `imbdense predict raster` leaves beside the map: areas, polygons, a few lines; what cannot be done is said
before the work begins."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbdense.cli.main import UserError

if TYPE_CHECKING:
    from imbdense.core.inference.map_layers import MapLayer
    from imbdense.data.raster.source_stack import Stack
    from imbdense.mm.raster import RasterJob, RasterNetwork

AREAS = 'areas.json'


def check_outputs(args: argparse.Namespace, network: RasterNetwork, stack: Stack) -> None:
    """Raise ``UserError`` where an output would take the place of an input or of a folder, or where polygons or areas
    are asked for without a layer of classes; ``ValueError`` where the reference points are no points."""
    from imbdense.data.raster.areas import read_points
    from imbdense.mm.raster import layer_classes, wanted_layers

    layers = wanted_layers(network, args.layers)
    main = _main_layer(network, layers)
    if main is None and (args.polygons or args.area_points):
        raise UserError('--polygons and --area-points are about classes, but none of the layers '
                        f'{", ".join(layer.name for layer in layers)} holds any; name one with --layers.')
    if main is not None and args.area_points:
        read_points(args.area_points, layer_classes(network, main)[0])
    if args.out.exists() and not args.out.is_dir():
        raise UserError(f'--out {args.out} is a file; give a folder.')
    targets = [args.out / f'{layer.name}.tif' for layer in layers] + [args.out / AREAS]
    targets += [args.out / f'{main.name}.gpkg'] if main is not None and args.polygons else []
    inputs = [*stack.paths, args.checkpoint, args.config, args.polygon_majority, args.area_points]
    there = [Path(path) for path in inputs if path is not None and Path(path).exists()]
    for target in targets:
        if target.is_dir():
            raise UserError(f'{target} is a folder, but the result needs this name; choose another --out.')
        if target.exists() and any(target.samefile(path) for path in there):
            raise UserError(f'{target} is an input, and the result would take its place; choose another --out.')


def report_map(args: argparse.Namespace, job: RasterJob, files: Mapping[str, Path]) -> int:
    """Areas of the layers of classes, polygons of the main one, a few lines on the terminal; 1 for an empty map."""
    from imbdense.core.inference.map_layers import available_layers
    from imbdense.data.raster.areas import area_table
    from imbdense.data.raster.polygons import write_polygons
    from imbdense.mm.raster import layer_classes
    from imbdense.utils.files import atomic_write_json

    for path in files.values():
        print(f'written to {path}')
    written, areas = set(files.values()), {}
    for layer in job.written:
        classes, _ = layer_classes(job.network, layer)
        if classes:
            points = args.area_points if not areas else None  # reference classes are those of the main layer
            areas[layer.name] = area_table(files[layer.name], classes, points)
    main = _main_layer(job.network, job.written)
    if main is not None:
        atomic_write_json(args.out / AREAS, areas)
        _show_areas(main.name, areas[main.name])
    if args.polygons and main is not None:
        target = args.out / f'{main.name}.gpkg'
        leave_out = {0} if main.name == 'change' else set()
        count = write_polygons(files[main.name], target, layer_classes(job.network, main)[0], leave_out)
        print(f'{count} polygons in {target}')
        written.add(target)
    names = {layer.name for layer in available_layers(job.network.groups)}
    older = [path for path in sorted(args.out.iterdir())
             if path.stem in names and path.suffix in ('.tif', '.gpkg') and path not in written]
    if older:
        print(f'note: {", ".join(map(str, older))} lay there before and may belong to another map.')
    if main is not None and not any(row['pixels'] for row in areas[main.name]['classes']):
        print(f'no pixel of {", ".join(job.stack.paths)} holds data in every band; the map is empty.')
        return 1
    return 0


def _main_layer(network: RasterNetwork, layers: Sequence[MapLayer]) -> MapLayer | None:
    """The first layer of classes."""
    from imbdense.mm.raster import layer_classes

    return next((layer for layer in layers if layer_classes(network, layer)[0]), None)


def _show_areas(name: str, table: dict[str, Any]) -> None:
    """A table of the main layer."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, title=f'{name}: area by class', title_justify='left')
    estimated = any('estimated_share' in row for row in table['classes'])
    for column in ('class', 'pixels', 'share', 'hectares', *(('estimated', '95 % interval') if estimated else ())):
        shown.add_column(column, justify='left' if column == 'class' else 'right')
    for row in table['classes']:
        extra = []
        if estimated:
            extra = [_percent(row['estimated_share']),
                     f'{_percent(row["estimated_low"])} – {_percent(row["estimated_high"])}']
        hectares = '–' if row['hectares'] is None else f'{row["hectares"]:,.2f}'
        shown.add_row(row['class'], f'{row["pixels"]:,}', _percent(row['share']), hectares, *extra)
    Console(highlight=False).print(shown)
    if table.get('points_elsewhere'):
        print(f'{table["points_elsewhere"]} reference points lie outside the map or on "no data" and were left out.')
    few = [f'{row["class"]} has {row["points_on_map_class"]}' for row in table['classes']
           if row['pixels'] and row.get('points_on_map_class', 2) < 2]
    if few:
        print(f'no estimate: at least two reference points must lie on each class of the map, but {", ".join(few)}.')


def _percent(share: float | None) -> str:
    """A share in percent with three significant digits."""
    return '–' if share is None else f'{100 * share:.3g} %'
