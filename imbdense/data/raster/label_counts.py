"""Class pixels of a place, counted window by window, as rows of a scan of label files; kept in a file."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.data.geotiff import Window
from imbdense.data.raster.labels import IGNORE
from imbdense.data.raster.scene import RasterScene
from imbdense.data.raster.statistics import blocks_of, statistics_key
from imbdense.data.readers.labels import LabelFormat
from imbdense.data.scan.records import LabelRecords
from imbdense.data.scan.result import ScanResult, summarise
from imbdense.data.scan.runs import LabelCounts
from imbdense.data.scan.worker import ScanSettings
from imbdense.utils.files import FileWriteError, atomic_open, atomic_write_text


def count_labels(
    scene: RasterScene,
    subset: str,
    layer: str,
    classes: Sequence[str],
    cache: Path | None,
    windows: Sequence[Window] | None = None,
) -> ScanResult:
    """Count the pixels of each class that a subset learns from: those a label knows, valid at every date it needs,
    inside the area of interest, and outside the buffer strips.

    One window is in memory. A result is read from ``cache`` where it was counted before for equal files (size and
    time), bands, labels and split; ``class_counts-<key>.json`` beside it is what losses take.

    Args:
        layer: ``class`` or ``change``, see :meth:`RasterScene.labels`. classes: names of its values.
        cache: folder; ``None`` = count anew.
        windows: one row of the result each; ``None`` = the blocks of 512 pixels that hold any pixel of the subset.

    Raises:
        ValueError: the scene has no such labels, or a value is no class; the message names the file. OSError: a broken
            raster.
    """
    settings = ScanSettings(LabelFormat.of(tuple(classes)), regions=False, positions=0)
    facts = {**scene.describe(subset), 'layer': layer, 'classes': list(classes), 'windows': windows,
             'change': None if scene.change is None else scene.change.describe()}
    key = statistics_key(scene.files(), facts)
    kept = None if cache is None else cache / f'labels-{key}.npz'
    records = _known(kept)
    fresh = records is None
    if records is None:
        shape = scene.grid.height, scene.grid.width
        chosen = windows if windows is not None else [
            block for block in blocks_of(shape) if scene.usable(subset, block).any()]
        records = LabelRecords.concat([_counted(scene, subset, layer, window, key, len(classes)) for window in chosen])
        if kept is not None:
            with contextlib.suppress(OSError, FileWriteError), atomic_open(kept) as handle:
                records.save(handle)
    found = summarise(records, settings, '', len(records) if fresh else 0, kept)
    if kept is None or windows is not None:
        return found
    counts = kept.with_name(f'class_counts-{key}.json')
    with contextlib.suppress(OSError, FileWriteError):
        atomic_write_text(counts, found.counts.to_json())
        return found.with_counts_file(counts)
    return found


def _counted(
    scene: RasterScene, subset: str, layer: str, window: Window, key: str, num_classes: int
) -> LabelRecords:
    """The row of one window."""
    labels = scene.read(window).labels
    if layer not in labels:
        raise ValueError(f'there are no {layer} labels to count; give label (and second_label), or change_label.')
    label = np.where(scene.usable(subset, window), labels[layer], np.uint8(IGNORE))
    pixels = np.bincount(label.ravel(), minlength=256)
    present = np.flatnonzero(pixels[:num_classes])
    none: NDArray[np.int64] = np.zeros(0, np.int64)
    counts = LabelCounts(pixels, None, None, present, np.zeros(len(present) + 1, np.int64), none)
    name = f'{key}/{window[0]}_{window[1]}'
    return LabelRecords.of_file(name, (0, 0), (window[2], window[3]), counts, int(pixels[IGNORE]), (none, none))


def _known(path: Path | None) -> LabelRecords | None:
    """What an earlier run kept; ``None`` where there is nothing, or it is damaged."""
    if path is None or not path.is_file():
        return None
    try:
        return LabelRecords.load(str(path))
    except (OSError, ValueError):
        return None
