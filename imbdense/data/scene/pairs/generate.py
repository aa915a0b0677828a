"""One pair of dates from configuration to files."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import classes as c
from imbdense.data.scene import mix
from imbdense.data.scene.camera import OrthoCamera
from imbdense.data.scene.dial import solve_mix
from imbdense.data.scene.export_geotiff import NODATA, write_raster
from imbdense.data.scene.manifest import (
    MANIFEST,
    TIMING,
    Manifest,
    file_digest,
    finished_folder,
    input_digests,
    library_versions,
)
from imbdense.data.scene.pairs.config import PairConfig
from imbdense.data.scene.pairs.edits import Edit, draw_edits
from imbdense.data.scene.pairs.solve import EditedPair, changed, solve_edits, top_of
from imbdense.data.scene.pairs.view import DateView, render_date, shift_of
from imbdense.data.scene.partial import whole_folder
from imbdense.data.scene.world import WorldBuilder

FORMAT = 1
BANDS = ('red', 'green', 'blue', 'nir')


@dataclass(frozen=True)
class PairManifest(Manifest):
    """Content of ``manifest.json`` of a pair.

    ``change_share``: changed pixels over pixels with a known change; ``asked_share`` and ``within_tolerance`` say what
    was wanted. ``from_to``: pixels by class at the first (rows) and second date (columns), training classes in order.
    ``edits``: made edits by kind, their number and changed pixels. ``mix``: report of the long-tail dial for the first
    date. ``imbalance_ratio``: max/min pixels over the land-cover classes with pixels, per date. ``shift_m``: (east,
    north) shift of the second image. ``files``: sha256 by name.
    """

    version: int
    config: dict[str, Any]
    inputs: dict[str, str]
    libs: dict[str, str]
    change_share: float
    asked_share: float
    within_tolerance: bool
    from_to: list[list[int]]
    edits: dict[str, dict[str, int]]
    mix: dict[str, Any]
    imbalance_ratio: list[float | None]
    shift_m: list[float]
    files: dict[str, str]


def generate_pair(config: PairConfig, out_dir: str | Path) -> PairManifest:
    """Generate one pair into ``out_dir`` and return its manifest.

    Writes GeoTIFFs on one grid: ``t1.tif``, ``t2.tif`` (R, G, B, NIR, 8 bit), ``dsm_t1.tif``, ``dsm_t2.tif`` and
    ``dtm.tif`` (m, nodata -9999), ``label_t1.tif``, ``label_t2.tif`` (training ids) and ``label_change.tif`` (0, 1),
    all labels with nodata 255; ``edits.json``; ``manifest.json``. Labels are exact: both dates are rendered by the same
    camera and compared pixel by pixel. The folder appears whole or not at all, and a folder that holds exactly this
    pair is kept. All files but ``timing.json`` are equal to the byte for equal configuration and libraries.

    Raises:
        ImportError: Open3D or rasterio is missing; tells how to install it.
        FileWriteError: ``out_dir`` cannot be written or another process is generating into it.
        ValueError: the configuration or an input file cannot be used.
    """
    target = Path(out_dir)
    finished = finished_pair(target, config)
    if finished is not None:
        return finished
    with whole_folder(target) as work:
        start = time.perf_counter()
        builder = WorldBuilder(config.scene)
        top = top_of(builder)
        dial = solve_mix(config.scene, builder, [OrthoCamera(config.scene.size, config.count, top)])
        kinds = {kind for kind, weight in config.edits.items() if weight > 0}
        pair = solve_edits(config, builder, *draw_edits(builder, dial.objects, kinds))
        views = [render_date(config, epoch, date, top) for date, epoch in enumerate(pair.epochs)]
        _write_rasters(config, builder, views, work)
        (work / 'edits.json').write_text(json.dumps([_record(*made) for made in pair.made], indent=1) + '\n', 'utf-8')
        files = {path.name: file_digest(path) for path in sorted(work.iterdir())}
        manifest = _manifest(config, pair, views, dial.report, files)
        (work / MANIFEST).write_text(manifest.to_json(), encoding='utf-8')
        (work / TIMING).write_text(json.dumps({'seconds': round(time.perf_counter() - start, 3)}) + '\n', 'utf-8')
    return manifest


def finished_pair(folder: Path, config: PairConfig) -> PairManifest | None:
    """Return the manifest of ``folder`` if it holds exactly this pair, whole; else ``None``."""
    return finished_folder(PairManifest, FORMAT, folder, config.to_dict(), config.scene)


def _write_rasters(config: PairConfig, builder: WorldBuilder, views: list[DateView], work: Path) -> None:
    """The GeoTIFFs of a pair."""
    scene = config.scene
    for number, view in enumerate(views, start=1):
        write_raster(work / f't{number}.tif', view.image.transpose(2, 0, 1), scene, None, BANDS)
        write_raster(work / f'dsm_t{number}.tif', view.surface[None], scene, NODATA, ('height',))
        write_raster(work / f'label_t{number}.tif', view.label[None], scene, c.VOID, ('land_cover',))
    cell = scene.size / config.count
    x, y = np.meshgrid((np.arange(config.count) + 0.5) * cell, scene.size - (np.arange(config.count) + 0.5) * cell)
    ground = builder.terrain.height_at(x, y).astype(np.float32)
    write_raster(work / 'dtm.tif', ground[None], scene, NODATA, ('height',))
    write_raster(work / 'label_change.tif', changed(views[0].label, views[1].label)[None], scene, c.VOID, ('change',))


def _record(edit: Edit, pixels: int) -> dict[str, Any]:
    """JSON record of one edit that was made."""
    element = (edit.after or edit.before)[0]
    outline = getattr(getattr(element, 'plan', element), 'footprint', getattr(element, 'outline', None))
    x, y = (element.x, element.y) if outline is None else outline.mean(axis=0)  # type: ignore[union-attr]
    number = getattr(element, 'class_id', c.BUILDING if edit.kind == 'building' else None)
    return {'kind': edit.kind, 'operation': edit.operation, 'class': None if number is None else c.CLASS_NAMES[number],
            'position': [round(float(x), 3), round(float(y), 3)], 'changed_pixels': pixels}


def _manifest(config: PairConfig, pair: EditedPair, views: list[DateView], report: dict[str, Any],
              files: dict[str, str]) -> PairManifest:
    """Sum the pair up."""
    classes = len(c.MAPPINGS[config.mapping].classes)
    first, second = views[0].label, views[1].label
    table = from_to_table(first, second, classes)
    change = changed(first, second)
    share = float((change == 1).sum() / max((change != c.VOID).sum(), 1))
    edits: dict[str, dict[str, int]] = {}
    for edit, pixels in pair.made:
        entry = edits.setdefault(f'{edit.kind}: {edit.operation}', {'number': 0, 'changed_pixels': 0})
        entry['number'] += 1
        entry['changed_pixels'] += pixels
    ratios = [mix.imbalance_ratio({k: float(value) for k, value in enumerate(table.sum(axis=axis))}) for axis in (1, 0)]
    near = abs(share - config.change_share) <= config.tolerance * config.change_share
    return PairManifest(FORMAT, config.to_dict(), input_digests(config.scene), library_versions(), share,
                        config.change_share, bool(near), table.tolist(), dict(sorted(edits.items())), report, ratios,
                        [round(value, 6) for value in shift_of(config)], files)


def from_to_table(first: NDArray[np.uint8], second: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Return pixels, int64 (classes, classes), by class at the first (rows) and second date; without those of 255."""
    valid = (first != c.VOID) & (second != c.VOID)
    index = first[valid].astype(np.int64) * classes + second[valid]
    return np.bincount(index, minlength=classes * classes).reshape(classes, classes)
