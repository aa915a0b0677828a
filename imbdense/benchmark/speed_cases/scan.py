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


@lru_cache(maxsize=1)
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Labels 1024² like aerial ones: large regions with ragged borders, small objects, noise in places."""
    folder = tempfile.TemporaryDirectory(prefix='imbdense-speed-')
    rng = np.random.default_rng(0)
    for index in range(FILES):
        field = cv2.resize(rng.random((12, 12)).astype(np.float32), (1024, 1024), interpolation=cv2.INTER_CUBIC)
        field += cv2.resize(rng.random((128, 128)).astype(np.float32), (1024, 1024)) * 0.15
        label = np.clip(field * 5, 0, 4).astype(np.uint8)
        for _ in range(60):
            x, y, w, h = rng.integers(0, 1000), rng.integers(0, 1000), *rng.integers(3, 24, 2)
            label[y : y + h, x : x + w] = rng.integers(5, CLASSES)
        image = Image.fromarray(label)
        if index % 2:  # half of the label sets in use are palette images
            image.putpalette(rng.integers(0, 256, 768).tolist())
        image.save(f'{folder.name}/{index:03d}.png')
    return folder


def _decode(files: list[Path]) -> np.ndarray:
    """What any counting must do first; the counts for the check come with it once."""
    total = np.zeros(CLASSES, dtype=np.int64)
    for path in files:
        label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        total[0] += label.shape[0] * label.shape[1]
    return total


def _check(result: Any, total: np.ndarray) -> str:
    """All pixels are counted, and counted right in the first file."""
    if int(result.counts.pixels.sum()) != int(total[0]):
        raise Unequal(f'{result.counts.pixels.sum()} pixels counted of {total[0]}')
    first = np.asarray(Image.open(Path(_folder().name) / '000.png'))
    row = np.zeros(CLASSES, dtype=np.int64)
    row[result.table.classes_of(0)] = result.table.amounts_of(0)
    if not np.array_equal(row, np.bincount(first.ravel(), minlength=CLASSES)):
        raise Unequal('the counts of the first file differ from np.bincount')
    return 'pixel counts equal'


def _files(scale: float) -> list[Path]:
    """The first files of the folder."""
    return sorted(Path(_folder().name).glob('*.png'))[: int(FILES * scale)]


def scan(scale: float) -> Workload:
    """Pixels per image and class, no cache, this process."""
    files = _files(scale)
    form = LabelFormat.of([str(c) for c in range(CLASSES)])
    return Workload(
        lambda: scan_labels(files, form, regions=False, positions=0, workers=0, cache=False),
        lambda: _decode(files),
        _check,
    )


def cached(scale: float) -> Workload:
    """The same with everything (regions, positions), found in the cache."""
    files = _files(scale)
    form = LabelFormat.of([str(c) for c in range(CLASSES)])
    scan_labels(files, form, workers=0)
    return Workload(lambda: scan_labels(files, form, workers=0), lambda: _decode(files), _check)


CASES = (
    SpeedCase('label-scan', 'class pixels of 40 labels 1024², half of them palette PNGs', 'OpenCV decoding alone', 0.6,
              scan),
    SpeedCase('label-scan-cached', 'the same again, from the cache', 'OpenCV decoding alone', 0.02, cached,
              growth=None),
)
