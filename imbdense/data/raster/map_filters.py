"""A minimum mapping unit and one class per polygon, on finished layers of any size; layers of a pair stay one story."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_number
from imbdense.data.change.map_filters import PolygonVotes, least_pixels
from imbdense.data.geotiff import open_raster
from imbdense.data.raster.aoi import polygons_on
from imbdense.data.raster.areas import row_areas
from imbdense.data.raster.grid import Grid
from imbdense.data.raster.layout import BLOCK
from imbdense.data.raster.patch_merge import PatchMerge
from imbdense.data.raster.vector_files import Shape
from imbdense.utils.files import FileWriteError

COLUMNS = 2048
"""Columns that are read at a time where a row of blocks is not needed whole."""
PATCH_PIXELS = 1 << 22
"""Pixels whose patches are looked for at a time; some 30 bytes each."""
UNKNOWN_KIND = 65534
"""Of ``from_to``: changed, but from what to what is not known."""
PAIR_LAYERS = ('change', 'label_t1', 'label_t2', 'from_to')

Rows = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class MapFilters:
    """What is done to the classes of a finished map before it is measured; polygons first, then patches.

    Attributes:
        least: patches smaller than this go to their largest neighbour; 0 = none does. areas: (H,) of a pixel in each
            row, in the same unit: pixels where all have one area, else m².
        polygons: get their most frequent class where it has ``least_share`` of their pixels.
        facts: plain data, for the tags of the map.
    """

    least: float
    areas: NDArray[np.float64]
    polygons: Sequence[Shape] = ()
    least_share: float = 0.9
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, grid: Grid, least_area: float = 0.0, polygons: str | None = None, least_share: float = 0.9
           ) -> MapFilters:
        """Filters of a map on ``grid``.

        Pixels of a grid in degrees are measured on the ellipsoid, row by row.

        Args:
            least_area: m². polygons: GeoJSON or GeoPackage file. least_share: in (0, 1].

        Raises:
            ValueError: an area without a coordinate system; a polygon file that is none or lies elsewhere.
        """
        check_number('least_area', least_area, low=0.0, owner='MapFilters')
        check_number('least_share', least_share, low=0.0, high=1.0, low_open=True, owner='MapFilters')
        metres = row_areas(grid)
        facts: dict[str, Any] = {}
        least, areas = 0.0, np.asarray(np.ones(grid.height))
        if least_area and metres is None:
            raise ValueError('a least area in square metres needs a raster with a coordinate system (set it with `rio '
                             'edit-info --crs EPSG:... FILE`), which is not rotated if it is in degrees (`rio warp`).')
        if least_area and metres is not None:
            equal = bool((metres == metres[0]).all())  # whole numbers of pixels add up without rounding
            least, areas = (float(least_pixels(least_area, metres[0])), areas) if equal else (least_area, metres)
            facts |= {'least_area_m2': least_area}
        shapes = [] if polygons is None else polygons_on(polygons, grid)
        if polygons is not None:
            digest = hashlib.sha256(Path(polygons).read_bytes()).hexdigest()[:16]
            facts |= {'polygons': Path(polygons).name, 'polygons_sha256': digest, 'least_share': least_share}
        return cls(least, areas, shapes, least_share, facts)


def filter_layers(
    layers: Mapping[str, Path],
    folder: Path,
    filters: MapFilters,
    covers: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Path]:
    """Filter the classes of a map; return the files of all ``layers``, those that were changed in ``folder``.

    One date: ``label``. Two dates: ``change`` (its kinds, unchanged among them), and what follows from it where land
    cover is known (all of :data:`PAIR_LAYERS` are then needed):

    * ``from_to`` becomes 0 where the change is gone; within what is changed it is filtered itself, so that neither a
      change nor a transition is smaller than the least area. Pixels that only the filter made changed get the
      transition around them; where there is none (polygons alone), 65534.
    * ``label_t2`` becomes ``label_t1`` where the change is gone; both become the transition where that was changed.
      Elsewhere they are what the model said, patches of any size among them.

    Probabilities and entropy are not touched: they say what the model thought of its own answer.

    Memory grows with the width of the map (a row of blocks), and with the number of patches and polygon corners; not
    with the height. Nothing is kept of an interrupted call, the next one begins anew with the same result.

    Args:
        layers: name -> one-band file with "no data". folder: of the result, made if needed.
        covers: number of land covers, where the layers hold them. report: gets what is done.

    Raises:
        FileWriteError: the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found, main = dict(layers), 'label' if 'label' in layers else 'change'
    with _full_disk(folder):
        found[main] = _filtered(layers[main], folder / main, filters, (), report)
        if 'from_to' not in layers:
            return found
        before = {'before': layers['change'], 'change': found['change'], 'from_to': layers['from_to']}
        draft = _rewrite(before, {'from_to': folder / 'from_to_draft.tif'}, _drafted)['from_to']
        found['from_to'] = _filtered(draft, folder / 'from_to', filters, (0,), report)
        inputs = {**layers, 'before': layers['change'], 'was': layers['from_to'], 'change': found['change'],
                  'from_to': found['from_to']}
        outputs = {name: folder / f'{name}.tif' for name in ('label_t1', 'label_t2')}
        return found | _rewrite(inputs, outputs, lambda rows: _followed(rows, covers))


def _drafted(rows: Rows) -> dict[str, NDArray[Any]]:
    """Transitions after the filter of the change map, before their own."""
    kind = np.where(rows['before'] == 0, UNKNOWN_KIND, rows['from_to'])
    kind[rows['change'] == 0] = 0
    kind[rows['from_to'] == 65535] = 65535
    return {'from_to': kind}


def _followed(rows: Rows, covers: int) -> dict[str, NDArray[Any]]:
    """Land cover of both dates after the filters."""
    first, second, kind = rows['label_t1'].copy(), rows['label_t2'].copy(), rows['from_to']
    gone = (rows['before'] != 0) & (rows['change'] == 0)
    second[gone] = first[gone]
    moved = (kind != rows['was']) & (kind > 0) & (kind <= covers**2)
    first[moved], second[moved] = np.divmod(kind[moved].astype(np.int64) - 1, covers)
    return {'label_t1': first, 'label_t2': second}


def _filtered(
    source: Path, stem: Path, filters: MapFilters, without: Sequence[int], report: Callable[[str], None]
) -> Path:
    """A layer after both filters, in which "no data" and the values ``without`` take no part."""
    if filters.polygons:
        report(f'{stem.name}: one class per polygon')
        source = _one_class_per_polygon(source, stem.with_name(f'{stem.name}_polygons.tif'), filters, without)
    if filters.least > filters.areas.min():
        report(f'{stem.name}: small patches to their neighbours')
        source = _without_small_patches(source, stem.with_name(f'{stem.name}.tif'), filters, without, report)
    return source


def _one_class_per_polygon(source: Path, target: Path, filters: MapFilters, without: Sequence[int]) -> Path:
    """Count, then write."""
    with open_raster(source) as layer:
        votes = PolygonVotes(filters.polygons, filters.least_share, (*without, int(layer.nodata)))
        for window in _windows(layer):
            votes.count(layer.read(1, window=window), _place(layer, window))
        with _like(layer, target) as result:
            for window in _windows(layer):
                found = votes.apply(layer.read(1, window=window), _place(layer, window))
                result.write(found, 1, window=window)
    return target


def _without_small_patches(
    source: Path, target: Path, filters: MapFilters, without: Sequence[int], report: Callable[[str], None]
) -> Path:
    """Count the patches, then write; a row of blocks is read at once and looked at in parts."""
    merge = PatchMerge(filters.least)
    with open_raster(source) as layer:
        out = np.array([*without, int(layer.nodata)])
        step = max(1, min(BLOCK, PATCH_PIXELS // layer.width))
        for top, labels in _rows(layer):
            for first in range(0, len(labels), step):
                part = labels[first : first + step]
                merge.count(part, ~np.isin(part, out), filters.areas[top + first : top + first + len(part)])
        report(f'{target.stem}: {merge.finish()} patches are given away')
        with _like(layer, target) as result:
            for top, labels in _rows(layer):
                for first in range(0, len(labels), step):
                    part = labels[first : first + step]
                    labels[first : first + step] = merge.apply(part, ~np.isin(part, out))
                result.write(labels, 1, window=((top, top + len(labels)), (0, layer.width)))
    return target


def _rewrite(
    inputs: Mapping[str, Path], outputs: Mapping[str, Path], function: Callable[[Rows], Mapping[str, NDArray[Any]]]
) -> dict[str, Path]:
    """Compute layers from others, window by window; an output is stored as the input of its name."""
    with contextlib.ExitStack() as stack:
        sources = {name: stack.enter_context(open_raster(path)) for name, path in inputs.items()}
        results = {name: stack.enter_context(_like(sources[name], path)) for name, path in outputs.items()}
        for window in _windows(next(iter(sources.values()))):
            found = function({name: source.read(1, window=window) for name, source in sources.items()})
            for name, result in results.items():
                result.write(found[name].astype(result.dtypes[0]), 1, window=window)
    return dict(outputs)


def _windows(layer: Any) -> Iterator[Any]:
    """Windows of whole blocks that cover a layer."""
    from rasterio.windows import Window

    for top in range(0, layer.height, BLOCK):
        for left in range(0, layer.width, COLUMNS):
            yield Window(left, top, min(COLUMNS, layer.width - left), min(BLOCK, layer.height - top))


def _place(layer: Any, window: Any) -> Any:
    """The transform of a window (rasterio's own multiplies with an operator that has changed its name)."""
    from rasterio import Affine

    t, row, column = layer.transform, window.row_off, window.col_off
    return Affine(t.a, t.b, t.c + column * t.a + row * t.b, t.d, t.e, t.f + column * t.d + row * t.e)


def _rows(layer: Any) -> Iterator[tuple[int, NDArray[Any]]]:
    """(first row, values) of rows of blocks."""
    for top in range(0, layer.height, BLOCK):
        yield top, layer.read(1, window=((top, min(top + BLOCK, layer.height)), (0, layer.width)))


@contextlib.contextmanager
def _like(source: Any, target: Path) -> Iterator[Any]:
    """A new file on the grid of another, fast to write and read once."""
    import warnings

    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        with rasterio.open(
            target, 'w', driver='GTiff', height=source.height, width=source.width, count=1, dtype=source.dtypes[0],
            nodata=source.nodata, crs=source.crs, transform=source.transform, tiled=True, blockxsize=BLOCK,
            blockysize=BLOCK, compress='LZW', bigtiff='IF_SAFER',
        ) as result:  # fmt: skip
            yield result


@contextlib.contextmanager
def _full_disk(folder: Path) -> Iterator[None]:
    """Errors of GDAL while files are written, as one that says what to do."""
    from rasterio.errors import RasterioError

    try:
        yield
    except (RasterioError, OSError) as error:
        raise FileWriteError(f'cannot filter the map in {folder} ({error.__cause__ or error}). Free some space and run '
                             f'the same command again: the finished units are kept.') from error
