"""Band statistics and class pixels of a training area, in one pass over its valid pixels; kept in a JSON file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.geotiff import Window
from imbdense.data.raster.bands import Band
from imbdense.utils.files import FileWriteError, atomic_write_json

FORMAT = 1
SAMPLE = 200_000
PERCENTILES = (0.1, 99.9)


@dataclass(frozen=True)
class BandStatistics:
    """``bands`` names; ``mean``, ``std`` and the 0.1 and 99.9 ``low`` / ``high`` percentiles of each; ``pixels``
    counted; ``class_pixels`` of the labels; ``key`` of what was counted.

    Percentiles are those of a random sample of 200 000 pixels, the rest is exact. Components of a vector have mean 0
    and std 1, so that a turned raster stays a turned raster after normalisation.
    """

    bands: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    pixels: int
    class_pixels: tuple[int, ...]
    key: str = ''
    version: int = FORMAT

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready content."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Any) -> BandStatistics:
        """Inverse of :meth:`to_dict`.

        Raises:
            ValueError: no such content.
        """
        try:
            fields: dict[str, Any] = {name: tuple(item) if isinstance(item, list) else item
                                      for name, item in values.items()}
            found = cls(**fields)
        except (TypeError, AttributeError) as error:
            raise ValueError(f'no band statistics: {error}.') from error
        if found.version != FORMAT:
            raise ValueError(f'band statistics of format {found.version}; this version reads {FORMAT}.')
        return found


class StatisticsCounter:
    """Welford's running mean and variance in float64, merged block by block (Chan et al. 1983), and a random sample.

    Args:
        bands: of the input. num_classes: of the labels.
    """

    def __init__(self, bands: Sequence[Band], num_classes: int) -> None:
        self.bands = tuple(bands)
        self.pixels = 0
        self.mean: NDArray[np.float64] = np.zeros(len(bands))
        self.square: NDArray[np.float64] = np.zeros(len(bands))
        self.class_pixels = np.zeros(num_classes, np.int64)
        self._sample: NDArray[np.float32] = np.zeros((0, len(bands)), np.float32)
        self._ranks: NDArray[np.float64] = np.zeros(0)

    def add(self, values: NDArray[np.float32], label: NDArray[np.uint8], rng: np.random.Generator) -> None:
        """Count pixels: values (N, B), all valid, and their labels (N,), 255 = none; ``rng`` draws the sample."""
        if not len(values):
            return
        block = values.astype(np.float64)
        count, mean = len(block), block.mean(axis=0)
        step, total = mean - self.mean, self.pixels + count
        self.square += ((block - mean) ** 2).sum(axis=0) + step**2 * (self.pixels * count / total)
        self.mean += step * (count / total)
        self.pixels = total
        self.class_pixels += np.bincount(label, minlength=256)[: len(self.class_pixels)]
        ranks = rng.random(count)
        kept = np.arange(count) if len(self._ranks) < SAMPLE else np.flatnonzero(ranks < self._ranks.max())
        self._ranks = np.concatenate([self._ranks, ranks[kept]])
        self._sample = np.concatenate([self._sample, values[kept]])
        if len(self._ranks) > SAMPLE:
            best = np.argpartition(self._ranks, SAMPLE)[:SAMPLE]
            self._ranks, self._sample = self._ranks[best], self._sample[best]

    def finish(self, key: str = '') -> BandStatistics:
        """Return what was counted.

        Raises:
            ValueError: not one valid pixel.
        """
        if not self.pixels:
            raise ValueError('there is no valid pixel in the training area to take statistics of: check split, aoi and '
                             'nodata.')
        vector = np.array([band.role in ('east', 'north') for band in self.bands])
        std = np.sqrt(self.square / self.pixels)
        mean = np.where(vector, 0.0, self.mean)
        std = np.where(vector, 1.0, np.where(std > 0, std, 1.0))  # a constant band becomes 0, not NaN
        low, high = np.percentile(self._sample.astype(np.float64), PERCENTILES, axis=0)
        means, deviations, lows, highs = (tuple(map(float, part)) for part in (mean, std, low, high))
        return BandStatistics(tuple(band.name for band in self.bands), means, deviations, lows, highs, self.pixels,
                              tuple(map(int, self.class_pixels)), key)


def blocks_of(shape: Sequence[int], side: int = 512) -> Iterable[Window]:
    """Yield the windows of a raster (height, width), row by row."""
    for row in range(0, shape[0], side):
        for column in range(0, shape[1], side):
            yield row, column, min(side, shape[0] - row), min(side, shape[1] - column)


def statistics_key(files: Sequence[str], description: Any) -> str:
    """Return a digest of the sizes and times of ``files`` and of everything else that decides (JSON-ready)."""
    stamps = [(os.path.abspath(path), os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in files]
    text = json.dumps([FORMAT, stamps, description], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def read_statistics(path: str | os.PathLike[str]) -> BandStatistics:
    """Return the statistics of a JSON file.

    Raises:
        ValueError: missing or damaged; the message names it.
    """
    try:
        return BandStatistics.from_dict(json.loads(Path(path).read_text(encoding='utf-8')))
    except (OSError, ValueError) as error:
        raise ValueError(f'{os.fspath(path)}: cannot be read as band statistics ({error}).') from error


def cached_statistics(folder: Path, key: str) -> BandStatistics | None:
    """Return what an earlier run counted for ``key``; ``None`` where nothing is kept or it is damaged."""
    try:
        found = read_statistics(folder / f'{key}.json')
    except ValueError:
        return None
    return found if found.key == key else None


def keep_statistics(folder: Path, statistics: BandStatistics) -> None:
    """Write the statistics; a folder that cannot be written costs the next run a pass, no more."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write_json(folder / f'{statistics.key}.json', statistics.to_dict())
    except (OSError, FileWriteError):
        return
