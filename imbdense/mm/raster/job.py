"""A prediction of a raster from start to finish: units on disk, then one file per layer."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense import __version__
from imbdense.core.inference.map_layers import PROBABILITIES, MapLayer, MapMaker, available_layers
from imbdense.data.raster.cog import Band, write_cog, write_mosaic
from imbdense.data.raster.layout import BLOCK, Layout, panel_width
from imbdense.data.raster.map_filters import PAIR_LAYERS, MapFilters, filter_layers
from imbdense.data.raster.source_stack import Stack
from imbdense.data.raster.unit_store import UnitStore
from imbdense.mm.raster.network import RasterNetwork, one_thread_per_tile
from imbdense.mm.raster.plan import RasterPlan
from imbdense.mm.raster.sweep import Sweep
from imbdense.utils.overlay import distinct_colours

MEMORY = 256 << 20
"""Bytes that the rows of one panel may take: scores, input rows and layers."""
MOST_NAMES = 2000
"""A layer with more values than this carries no names."""
UNCHANGED = ('unchanged', 'changed')


@dataclass(frozen=True)
class RasterJob:
    """Everything needed to compute any unit of a map and to write it.

    Attributes:
        network, stack, plan, maker: what is computed on what, how. store: finished units.
        written: the layers that are asked for. filters: of their classes; they may need further layers.
    """

    network: RasterNetwork
    stack: Stack
    plan: RasterPlan
    maker: MapMaker
    store: UnitStore
    written: tuple[MapLayer, ...]
    filters: MapFilters | None = None


def start_job(
    network: RasterNetwork,
    stack: Stack,
    plan: RasterPlan,
    folder: Path,
    layers: Sequence[str] = (),
    block_size: int | None = None,
    filters: MapFilters | None = None,
) -> RasterJob:
    """Open or go on with the units in ``folder``.

    Args:
        network: probed. layers: names of the wanted ones; none = the labels and the change, without probabilities.
        block_size: columns of a panel, rounded up to 512; ``None`` = as many as :data:`MEMORY` allows. Pixels do not
            depend on it.
        filters: what is done to the classes at the end.

    Raises:
        OtherJob: the folder holds a job with other inputs, weights or settings.
        ValueError: an unknown layer; filters, but no layer of classes.
    """
    written = wanted_layers(network, layers)
    wanted = [layer.name for layer in written]
    needed = [] if filters is None else _needed([layer.name for layer in available_layers(network.groups)], wanted)
    maker = MapMaker(network.groups, [*wanted, *needed], network.comparison)
    grid = stack.grid
    strip = 4 * maker.channels * plan.tile if plan.mode == 'blend' else 0
    rows = (plan.tile + 4 * max(BLOCK, stack.block[0])) * (stack.channels * stack.dtype.itemsize + 1)
    width = panel_width(grid.width, strip + rows + 4 * BLOCK * len(maker.layers), MEMORY, block_size)
    settings = {
        **network.facts, **plan.facts(), 'layers': [layer.name for layer in maker.layers], 'bands': stack.bands,
        'align': stack.align, 'inputs': [_file_facts(path) for path in stack.paths],
    }  # fmt: skip
    layout = Layout(grid.height, grid.width, width)
    store = UnitStore(folder, [layer.name for layer in maker.layers], settings, layout)
    return RasterJob(network, stack, plan, maker, store, written, filters)


def wanted_layers(network: RasterNetwork, names: Sequence[str] = ()) -> tuple[MapLayer, ...]:
    """The named layers, the main one first; without names the labels and the change, without probabilities.

    Raises:
        ValueError: a name that the model does not give.
    """
    known = [layer.name for layer in available_layers(network.groups)]
    wanted = names or [name for name in known if name not in PROBABILITIES]
    return MapMaker(network.groups, wanted, network.comparison).layers


def predict_units(
    job: RasterJob,
    units: Sequence[tuple[int, int]],
    *,
    threads: int = 2,
    batch: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Compute and store those of ``units`` that are not there yet.

    Args:
        threads: readers; one more writes. 0 = everything in turn. batch: tiles at once, see :class:`EqualBatches`.
        progress: called with (done, all) pixels of ``units``.
    """
    todo = job.store.unfinished(units)
    layout, done = job.store.layout, _pixels(job, units) - _pixels(job, todo)
    total = _pixels(job, units)
    if progress is not None:
        progress(done, total)
    sweep = Sweep(job.network, job.maker, job.plan, job.stack, threads, batch)
    nodata = {layer.name: layer.nodata for layer in job.maker.layers}
    with one_thread_per_tile(job.network.device), _Writer(threads > 0) as writer, contextlib.closing(sweep.batches):
        for run in layout.runs(todo):
            bands = iter(run.bands)
            band = next(bands)
            waiting: list[dict[str, NDArray[Any]]] = []
            for top, rows in sweep(run):
                done += (run.right - run.left) * next(iter(rows.values())).shape[0]
                while rows:
                    bottom, height = layout.rows(band)[1], next(iter(rows.values())).shape[0]
                    count = min(bottom - top, height)
                    waiting.append({name: value[:count] for name, value in rows.items()})
                    rows = {name: value[count:] for name, value in rows.items()} if count < height else {}
                    top += count
                    if top == bottom:
                        joined = {name: np.concatenate([part[name] for part in waiting]) for name in waiting[0]}
                        writer.call(job.store.write, run.panel, band, joined, nodata)
                        waiting, band = [], next(bands, -1)
                if progress is not None:
                    progress(done, total)
    return sweep


def write_maps(job: RasterJob, folder: Path, report: Callable[[str], None] = lambda _: None) -> dict[str, Path]:
    """Join all units into ``folder``/<layer>.tif, filtered where that was asked for, and remove them; {layer: file}."""
    units, grid, bands = job.store.folder, job.stack.grid, {layer.name: _band(job, layer) for layer in job.maker.layers}
    mosaics = {name: units / f'{name}.vrt' for name in bands}
    for name, band in bands.items():
        write_mosaic(job.store.pieces(name), band, grid, mosaics[name])
    if job.filters is not None:
        classes = {name: path for name, path in mosaics.items() if name not in PROBABILITIES}
        found = filter_layers(classes, units / 'filtered', job.filters, job.maker.covers, report)
        for name, path in found.items():
            if path != mosaics[name]:
                write_mosaic([(path, (0, grid.height), (0, grid.width))], bands[name], grid, mosaics[name])
    files = {layer.name: folder / f'{layer.name}.tif' for layer in job.written}
    for name, target in files.items():
        write_cog(mosaics[name], target)
    job.store.remove()
    return files


def layer_classes(network: RasterNetwork, layer: MapLayer) -> tuple[list[str], list[tuple[int, int, int]]]:
    """Names and colours of the values of a layer; empty for probabilities."""
    found = [group.channels - group.unchanged_channel for group in network.groups if group.name == 't1']
    covers = len(network.land_cover) or sum(found)
    names = network.land_cover or [f'class {index}' for index in range(covers)]
    if layer.name in ('label', 'change'):
        group = next((group for group in network.groups if group.name == layer.name), None)
        count = 2 if group is None or group.channels == 1 else group.channels
        known = list(network.classes)
        if layer.name == 'change' and count == 2 and len(known) != 2:
            known = list(UNCHANGED)
        if len(known) == count == len(network.palette):
            return known, list(network.palette)
        known = known if len(known) == count else [f'class {index}' for index in range(count)]
        return known, distinct_colours(count)
    if layer.name in ('label_t1', 'label_t2'):
        palette = network.land_cover_palette
        return names, [tuple(c) for c in palette] if palette else distinct_colours(len(names))  # type: ignore[misc]
    if layer.name == 'from_to' and covers**2 < MOST_NAMES:
        return ['unchanged', *(f'{one} → {two}' for one in names for two in names)], []
    return [], []


def _needed(known: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Layers that filters work on beside the wanted ones: the change, and all of a pair where one is wanted."""
    classes = [name for name in known if name not in PROBABILITIES]
    if not set(wanted) & set(classes):
        raise ValueError(f'the filters change classes, but none of the layers {", ".join(classes)} is wanted '
                         f'(--layers {" ".join(wanted)}).')
    pair = set(wanted) & set(PAIR_LAYERS[1:])
    return [name for name in classes if pair or name == 'change']


def _band(job: RasterJob, layer: MapLayer) -> Band:
    """What a written layer says about itself."""
    classes, colours = layer_classes(job.network, layer)
    tags = {
        'IMBDENSE_VERSION': __version__, 'MODEL_SHA256': job.network.facts['checkpoint'],
        'CONFIG_SHA256': job.network.facts['config'], 'TILES': json.dumps(job.plan.facts(), sort_keys=True),
        'INPUT_BANDS': json.dumps(job.stack.bands), 'NORMALIZATION': json.dumps(job.network.normalisation),
    }  # fmt: skip
    if not classes and layer.name != 'from_to':
        tags['SCALE'] = 'probability = value / 254'
    elif job.filters is not None:
        tags['FILTERS'] = json.dumps(job.filters.facts, sort_keys=True)
    return Band(layer.name, layer.dtype, layer.nodata, classes, colours, tags)


def _file_facts(path: str) -> dict[str, Any]:
    """Name, size and time of a file."""
    facts = Path(path).stat()
    return {'name': Path(path).name, 'bytes': facts.st_size, 'modified': facts.st_mtime_ns}


def _pixels(job: RasterJob, units: Sequence[tuple[int, int]]) -> int:
    """Pixels of units."""
    sizes = [(job.store.layout.rows(band), job.store.layout.columns(panel)) for panel, band in units]
    return sum((bottom - top) * (right - left) for (top, bottom), (left, right) in sizes)


class _Writer:
    """Calls functions in a thread of its own, one after the other, never more than one behind."""

    def __init__(self, threaded: bool) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix='write') if threaded else None
        self._last: Future[None] | None = None

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            if self._last is not None and kind is None:
                self._last.result()

    def call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call, after the one before has ended; its error is raised here."""
        if self._pool is None:
            function(*arguments)
            return
        if self._last is not None:
            self._last.result()
        self._last = self._pool.submit(function, *arguments)
