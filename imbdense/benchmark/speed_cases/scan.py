"""Counting the classes of label files against merely decoding them with OpenCV."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from imbdense.benchmark.speed_case import SpeedCase, Unequal, Workload
from imbdense.data.readers.labels import LabelFormat
from imbdense.data.scan import scan_labels

CLASSES = 8
FILES = 40
RAGGED = 0.05
"""Roughness of the borders; with it a grey label takes about 20 kB, as the real dubai_aerial labels do per 1024²."""


@lru_cache(maxsize=2)
def _folder(palette: bool) -> tempfile.TemporaryDirectory[str]:
    """Labels 1024² like aerial ones: large regions with ragged borders, and small objects; grey or palette PNGs."""
    folder = tempfile.TemporaryDirectory(prefix='imbdense-speed-')
    rng = np.random.default_rng(0)
    for index in range(FILES):
        field = cv2.resize(rng.random((7, 7)).astype(np.float32), (1024, 1024), interpolation=cv2.INTER_CUBIC)
        field += cv2.resize(rng.random((128, 128)).astype(np.float32), (1024, 1024)) * RAGGED
        label = np.clip(field * 5, 0, 4).astype(np.uint8)
        for _ in range(60):
            x, y, w, h = rng.integers(0, 1000), rng.integers(0, 1000), *rng.integers(3, 24, 2)
            label[y : y + h, x : x + w] = rng.integers(5, CLASSES)
        image = Image.fromarray(label)
        if palette:
            image.putpalette(rng.integers(0, 256, 768).tolist())
        image.save(f'{folder.name}/{index:03d}.png')
    return folder


def _decode(files: list[Path]) -> np.ndarray:
    """What any counting must do first; returns how many pixels there are."""
    total = np.zeros(CLASSES, dtype=np.int64)
    for path in files:
        label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        total[0] += label.shape[0] * label.shape[1]
    return total


def _workload(scale: float, palette: bool, **options: Any) -> Workload:
    """Scan against decode."""
    files = sorted(Path(_folder(palette).name).glob('*.png'))[: int(FILES * scale)]
    form = LabelFormat.of([str(c) for c in range(CLASSES)])
    if options.get('cache', True):
        scan_labels(files, form, workers=0, **options)

    def check(result: Any, total: np.ndarray) -> str:
        if int(result.counts.pixels.sum()) != int(total[0]):
            raise Unequal(f'{result.counts.pixels.sum()} pixels counted of {total[0]}')
        row = np.zeros(CLASSES, dtype=np.int64)
        row[result.table.classes_of(0)] = result.table.amounts_of(0)
        if not np.array_equal(row, np.bincount(np.asarray(Image.open(files[0])).ravel(), minlength=CLASSES)):
            raise Unequal('the counts of the first file differ from np.bincount')
        return 'pixel counts equal'

    return Workload(lambda: scan_labels(files, form, workers=0, **options), lambda: _decode(files), check)


def scan_grey(scale: float) -> Workload:
    """Pixels per image and class, no cache, this process."""
    return _workload(scale, False, regions=False, positions=0, cache=False)


def scan_palette(scale: float) -> Workload:
    """The same of palette PNGs, which OpenCV turns into colours."""
    return _workload(scale, True, regions=False, positions=0, cache=False)


def cached(scale: float) -> Workload:
    """The same with everything (regions, positions), found in the cache."""
    return _workload(scale, False)


CASES = (
    SpeedCase('label-scan', 'class pixels of 40 grey PNG labels 1024²', 'OpenCV decoding alone', 0.6, scan_grey),
    SpeedCase('label-scan-palette', 'class pixels of 40 palette PNG labels 1024²', 'OpenCV decoding alone', 0.6,
              scan_palette),
    SpeedCase('label-scan-cached', 'all statistics of the 40 grey labels, from the cache', 'OpenCV decoding alone',
              0.02, cached, growth=None),
)
