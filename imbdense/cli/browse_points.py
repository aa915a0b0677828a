"""Look at a point cloud: an HTML page with an interactive view, and pictures, coloured by class and by error.

  imbdense browse points tile.laz --layout ign_lidar_hd --out look
  imbdense browse points predicted.laz --layout ign_lidar_hd        with what `imbdense predict points` added
  imbdense browse points tile.laz --prediction other.laz            the same points, labelled by somebody else
  imbdense browse points tile.laz --window                          in a window of open3d

Layers: colour and height; label; prediction and error (dimension `predicted`, or --prediction); change (dimension
`change`). Open index.html in the output folder; no server, no network and no display are needed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbdense.cli.main import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from imbdense.data.points import PointCloud
    from imbdense.report.point_layers import PointLayer

PREDICTED = 'predicted'
CHANGE = ('change', 'label_ch')
MOST_CODES = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command."""
    parser.add_argument('cloud', type=Path, metavar='FILE', help='.las .laz .ply .txt .csv .xyz .npz')
    parser.add_argument('--prediction', type=Path, metavar='FILE', help='the same points with predicted labels')
    parser.add_argument('--layout', metavar='NAME', help='data set whose names, colours and classes are meant')
    parser.add_argument('--mapping', metavar='NAME', help='class map of the layout (default: its usual one)')
    parser.add_argument('--out', type=Path, default=Path('browse'), help='folder for the page and pictures (browse)')
    parser.add_argument('--points', type=int, default=300_000, metavar='N', help='points in the interactive view')
    parser.add_argument('--side', type=int, default=1000, help='pixels of the longer side of a picture (1000)')
    parser.add_argument('--window', action='store_true', help='open a window instead of writing files')


def run(args: argparse.Namespace) -> int:
    """Write index.html and one picture per view and layer, or show a window; exit code 0."""
    from imbdense.data.readers.errors import LabelReadError

    for name, low in (('points', 1), ('side', 8)):
        if getattr(args, name) < low:
            raise UserError(f'--{name} must be at least {low}, but is {getattr(args, name)}.')
    try:
        shown = _Shown(args)
    except (LabelReadError, FileNotFoundError, ValueError) as error:
        raise UserError(str(error)) from error
    if args.window:
        from imbdense.report.point_window import show_window

        try:
            show_window(args.cloud.name, shown.cloud.xyz, shown.layers)
        except RuntimeError as error:
            raise UserError(str(error)) from error
        return 0
    return _write(args, shown)


def _write(args: argparse.Namespace, shown: _Shown) -> int:
    """Pictures and page."""
    from PIL import Image

    from imbdense.report.point_layers import sample_points
    from imbdense.report.point_page import class_rows, point_page
    from imbdense.report.point_render import VIEWS, project
    from imbdense.utils.files import FileWriteError, atomic_open, atomic_write_text
    from imbdense.utils.overlay import with_legend

    xyz, layers = shown.cloud.xyz, shown.layers
    pictures: dict[str, Any] = {}
    try:
        for view in VIEWS:
            projection = project(xyz, view, args.side)
            for layer in layers:
                picture = projection.paint(layer.rgb)
                with atomic_open(args.out / f'{view.name}_{layer.name}.png') as stream:
                    with_legend(Image.fromarray(picture), layer.legend).save(stream, 'PNG')
                pictures[f'{view.name}, {layer.name}'] = picture
        kept = sample_points(shown.labels, len(xyz), args.points)
        rows = [] if shown.labels is None else class_rows(shown.classes, shown.palette, shown.labels, shown.predicted)
        note = f'{len(kept):,} of {len(xyz):,} points of {args.cloud.name}' + (
            ', drawn so that rare classes stay visible.' if len(kept) < len(xyz) else '.')
        html = point_page(args.cloud.name, note, xyz[kept], [layer.take(kept) for layer in layers], pictures, rows)
        atomic_write_text(args.out / 'index.html', html)
    except FileWriteError as error:
        raise UserError(str(error)) from error
    print(args.out / 'index.html')
    return 0


class _Shown:
    """The cloud and its layers."""

    def __init__(self, args: argparse.Namespace) -> None:
        import numpy as np

        from imbdense.data.points import read_points
        from imbdense.report.point_layers import class_layer, colour_layer, error_layer, height_layer

        self.cloud = read_points(args.cloud)
        self.labels = self.cloud.semantic
        self.predicted = _prediction(args, self.cloud)
        self._name_classes(args)
        found: list[PointLayer] = [height_layer(self.cloud.xyz[:, 2])]
        if self.cloud.attributes.get('rgb', np.zeros(0)).any():  # some files have room for colours and none in it
            found.insert(0, colour_layer(self.cloud.attributes['rgb']))
        for name, values in (('label', self.labels), ('prediction', self.predicted)):
            if values is not None:
                found.append(class_layer(name, values, self.classes, self.palette))
        if self.labels is not None and self.predicted is not None:
            found.append(error_layer(self.labels, self.predicted, self.classes, self.palette))
        for name in CHANGE:
            if name in self.cloud.attributes:
                found.append(_plain_layer('change', self.cloud.attributes[name]))
        self.layers = found

    def _name_classes(self, args: argparse.Namespace) -> None:
        """Bring labels and prediction to classes with names: of the layout, else the codes that occur."""
        import numpy as np

        from imbdense.utils.overlay import distinct_colours

        known = [values for values in (self.labels, self.predicted) if values is not None]
        if args.layout:
            from imbdense.data.points.layouts import point_layout

            chosen = point_layout(args.layout).class_map(args.mapping)
            self.classes, self.palette = list(chosen.classes), list(chosen.palette)
            self.labels, self.predicted = (
                None if values is None else chosen.apply(values, owner=str(args.cloud))
                for values in (self.labels, self.predicted)
            )
            return
        codes = np.unique(np.concatenate(known)) if known else np.zeros(0, np.int64)
        codes = codes[codes >= 0]
        if len(codes) > MOST_CODES:
            raise ValueError(f'{args.cloud} has {len(codes)} label codes; are these instances? Name a --layout.')
        self.classes = [f'code {code}' for code in codes.tolist()]
        self.palette = distinct_colours(len(codes))
        self.labels, self.predicted = (
            None if values is None else np.where(values < 0, -1, np.searchsorted(codes, values))
            for values in (self.labels, self.predicted)
        )


def _prediction(args: argparse.Namespace, cloud: PointCloud) -> NDArray[np.int64] | None:
    """The predicted codes, where there are any."""
    import numpy as np

    from imbdense.data.points import read_points

    if args.prediction is None:
        values = cloud.attributes.get(PREDICTED)
        return None if values is None else values.reshape(-1).astype(np.int64)
    other = read_points(args.prediction)
    if len(other) != len(cloud) or not np.allclose(other.xyz, cloud.xyz, rtol=0, atol=0.01):
        raise ValueError(f'{args.prediction} does not hold the points of {args.cloud} in the same order '
                         f'({len(other):,} and {len(cloud):,} points).')
    found = other.attributes.get(PREDICTED)
    if found is not None:
        return found.reshape(-1).astype(np.int64)
    if other.semantic is None:
        raise ValueError(f'{args.prediction} has neither labels nor a dimension {PREDICTED!r}.')
    return other.semantic


def _plain_layer(name: str, values: NDArray[Any]) -> PointLayer:
    """A layer of codes without names; 0 is unchanged and pale."""
    import numpy as np

    from imbdense.report.point_layers import RIGHT, class_layer
    from imbdense.utils.overlay import distinct_colours

    codes, index = np.unique(values.reshape(-1).astype(np.int64), return_inverse=True)
    colours = distinct_colours(len(codes))
    palette = [RIGHT if code == 0 else colour for code, colour in zip(codes.tolist(), colours)]
    names = ['unchanged' if code == 0 else f'change {code}' for code in codes.tolist()]
    return class_layer(name, index.reshape(-1), names, palette)
