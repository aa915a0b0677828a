"""Which windows of a raster are looked at: on a grid for evaluation, at random for training.

Training windows are drawn one by one from (seed, draw): no list of windows is made, whatever the size of the raster,
and draw 17 is the same window in every worker, on every rank and after a resume.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_number
from imbdense.data.change.spatial_blocks import SpatialBlocks
from imbdense.data.geotiff import Window

TRIES = 64
POOL = 20_000
"""Pixels of each class that are remembered, at most."""


@dataclass
class PixelPool:
    """Places of up to ``POOL`` random pixels of each class, found in one pass over the labels.

    ``places``: class -> int32 (N, 2) rows and columns; ``pixels``: class -> how many there are in all.
    """

    places: dict[int, NDArray[np.int32]] = field(default_factory=dict)
    pixels: dict[int, int] = field(default_factory=dict)
    _ranks: dict[int, NDArray[np.float64]] = field(default_factory=dict)

    def add(self, label: NDArray[np.uint8], corner: tuple[int, int], rng: np.random.Generator) -> None:
        """Count the labels (h, w) of a block at ``corner`` (row, column); 255 is no class."""
        flat = label.ravel()
        for klass in np.unique(flat[flat != 255]).tolist():
            index = np.flatnonzero(flat == klass)
            self.pixels[klass] = self.pixels.get(klass, 0) + len(index)
            ranks = rng.random(len(index))
            known = self._ranks.get(klass, np.zeros(0))
            if len(known) >= POOL:
                better = ranks < known.max()
                index, ranks = index[better], ranks[better]
            rows, columns = np.divmod(index, label.shape[1])
            place = np.stack([rows + corner[0], columns + corner[1]], axis=1).astype(np.int32)
            place = np.concatenate([self.places.get(klass, np.zeros((0, 2), np.int32)), place])
            ranks = np.concatenate([known, ranks])
            if len(ranks) > POOL:
                best = np.argpartition(ranks, POOL)[:POOL]
                place, ranks = place[best], ranks[best]
            self.places[klass], self._ranks[klass] = place, ranks


@dataclass(frozen=True)
class Area:
    """Where windows may lie.

    ``shape`` of the raster; ``window`` (height, width); ``blocks`` and ``subset`` of a split by place, or ``None``;
    ``pools``: random pixels per class ('class') and of changed places ('change'), where a drawer asked for them.
    """

    shape: tuple[int, int]
    window: tuple[int, int]
    blocks: SpatialBlocks | None = None
    subset: str = 'train'
    pools: dict[str, PixelPool] = field(default_factory=dict)

    def allows(self, window: Window) -> bool:
        """Whether ``window`` lies in the raster and, with a split, all of it more than the buffer from other splits."""
        row, column, height, width = window
        if row < 0 or column < 0 or row + height > self.shape[0] or column + width > self.shape[1]:
            return False
        if self.blocks is None:
            return True
        reach = self.blocks.buffer
        top, left = max(row - reach, 0), max(column - reach, 0)
        bottom = min(row + height + reach, self.shape[0])
        right = min(column + width + reach, self.shape[1])
        return self.blocks.split_of((top, left, bottom - top, right - left)) == self.subset

    def around(self, row: int, column: int) -> Window:
        """The window with pixel (row, column) in its middle, moved inside the raster."""
        corner = [min(max(place - size // 2, 0), max(length - size, 0))
                  for place, size, length in zip((row, column), self.window, self.shape)]
        return corner[0], corner[1], min(self.window[0], self.shape[0]), min(self.window[1], self.shape[1])

    def somewhere(self, rng: np.random.Generator) -> Window:
        """A random window that is allowed.

        Raises:
            ValueError: none was found: the blocks of the split are smaller than the window and its buffer.
        """
        for _ in range(TRIES * 16):
            window = self.around(int(rng.integers(self.shape[0])), int(rng.integers(self.shape[1])))
            if self.allows(window):
                return window
        raise ValueError(f'no window of {self.window} pixels fits into the {self.subset!r} blocks; choose a larger '
                         f'block, a smaller buffer or a smaller window.')


def grid_windows(area: Area) -> list[Window]:
    """Return windows that cover the whole raster, or all blocks of a split without their buffer strips; those at the
    edges are moved inside, or cut where there is no room. The same list for every seed."""
    found: list[Window] = []
    for top, left, bottom, right in _rectangles(area):
        for row in _starts(top, bottom, area.window[0]):
            for column in _starts(left, right, area.window[1]):
                window = (row, column, min(area.window[0], bottom - row), min(area.window[1], right - column))
                found.append(window)
    return found


def _rectangles(area: Area) -> list[tuple[int, int, int, int]]:
    """(top, left, bottom, right) of the raster, or of each block of the split without its buffer strips."""
    if area.blocks is None:
        return [(0, 0, *area.shape)]
    blocks, own = area.blocks, area.blocks.owner == area.blocks.names.index(area.subset)
    padded = np.pad(own, 1, constant_values=True)
    rectangles = []
    for i, j in np.argwhere(own).tolist():
        near = padded[i:i + 3, j:j + 3]
        top = i * blocks.block + (0 if near[0].all() else blocks.buffer)
        bottom = min((i + 1) * blocks.block, area.shape[0]) - (0 if near[2].all() else blocks.buffer)
        left = j * blocks.block + (0 if near[:, 0].all() else blocks.buffer)
        right = min((j + 1) * blocks.block, area.shape[1]) - (0 if near[:, 2].all() else blocks.buffer)
        if bottom > top and right > left:
            rectangles.append((top, left, bottom, right))
    return rectangles


def _starts(first: int, last: int, size: int) -> list[int]:
    """Where windows start along one side; the last one ends with it."""
    if last - first <= size:
        return [first]
    return [*range(first, last - size, size), last - size]


@dataclass(frozen=True)
class RandomWindowSampler:
    """Windows uniformly over the area."""

    needs: tuple[str, ...] = field(default=(), init=False)

    def draw(self, area: Area, rng: np.random.Generator) -> Window:
        """Return one window."""
        return area.somewhere(rng)


@dataclass(frozen=True)
class ClassBalancedWindowSampler:
    """Windows around a random pixel of a class drawn with ``p_c ∝ n_c^(-beta)``, moved by up to half a window.

    n_c = pixels of class c in the area. ``beta=0`` draws every class equally often, above 0 the rare ones more often
    than the frequent ones, -1 as often as a random pixel has them. Classes without a pixel are never drawn.
    """

    beta: float = 0.5
    needs: tuple[str, ...] = field(default=('class',), init=False)

    def __post_init__(self) -> None:
        check_number('beta', self.beta, low=-1, high=4, owner='ClassBalancedWindowSampler')

    def draw(self, area: Area, rng: np.random.Generator) -> Window:
        """Return one window."""
        pool = area.pools['class']
        classes = sorted(pool.pixels)
        if not classes:
            return area.somewhere(rng)
        weights = np.array([pool.pixels[klass] for klass in classes], float) ** -self.beta
        klass = classes[int(rng.choice(len(classes), p=weights / weights.sum()))]
        return _near(area, pool.places[klass], rng)


@dataclass(frozen=True)
class ChangeAwareWindowSampler:
    """Windows around a random changed pixel with probability ``frac_change``, else anywhere: the share of change seen
    in training is a choice, and unchanged places stay in it."""

    frac_change: float = 0.5
    needs: tuple[str, ...] = field(default=('change',), init=False)

    def __post_init__(self) -> None:
        check_number('frac_change', self.frac_change, low=0, high=1, owner='ChangeAwareWindowSampler')

    def draw(self, area: Area, rng: np.random.Generator) -> Window:
        """Return one window."""
        kinds = [klass for klass in sorted(area.pools['change'].pixels) if klass > 0]
        if not kinds or rng.random() >= self.frac_change:
            return area.somewhere(rng)
        pixels = np.array([area.pools['change'].pixels[klass] for klass in kinds], float)
        klass = kinds[int(rng.choice(len(kinds), p=pixels / pixels.sum()))]
        return _near(area, area.pools['change'].places[klass], rng)


def _near(area: Area, places: NDArray[np.int32], rng: np.random.Generator) -> Window:
    """A window that holds a random one of ``places``; anywhere, if none of some tries is allowed."""
    for _ in range(TRIES):
        row, column = places[int(rng.integers(len(places)))].tolist()
        shift = [int(rng.integers(-(size // 2) + 1, (size + 1) // 2)) if size > 1 else 0 for size in area.window]
        window = area.around(row + shift[0], column + shift[1])
        if area.allows(window):
            return window
    return area.somewhere(rng)


WindowSampler = RandomWindowSampler | ClassBalancedWindowSampler | ChangeAwareWindowSampler
SAMPLERS: dict[str, Callable[..., WindowSampler]] = {
    'RandomWindowSampler': RandomWindowSampler, 'ClassBalancedWindowSampler': ClassBalancedWindowSampler,
    'ChangeAwareWindowSampler': ChangeAwareWindowSampler,
}


def draw_stream(seed: int, draw: int) -> np.random.Generator:
    """The random stream of one draw."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(draw,)))


def build_sampler(config: WindowSampler | dict[str, object] | None) -> WindowSampler:
    """Return the sampler of a config dict with ``type``; ``None`` = :class:`RandomWindowSampler`.

    Raises:
        ValueError: an unknown type or argument.
    """
    if not isinstance(config, dict):
        return RandomWindowSampler() if config is None else config
    arguments = dict(config)
    name = str(arguments.pop('type', '')).removeprefix('imbdense.')
    if name not in SAMPLERS:
        raise ValueError(f'windows: {name!r} is no window sampler; they are {", ".join(SAMPLERS)}.')
    try:
        return SAMPLERS[name](**arguments)
    except TypeError as error:
        raise ValueError(f'windows: {name}: {error}.') from error


def read_pools(pools: dict[str, PixelPool], labels: dict[str, NDArray[np.uint8]], corner: tuple[int, int],
               rng: np.random.Generator) -> None:
    """Add the label maps of one block to the pools of the same names."""
    for name, label in labels.items():
        if name in pools:
            pools[name].add(label, corner, rng)


def window_shape(value: int | Sequence[int]) -> tuple[int, int]:
    """(height, width) of one number or two."""
    height, width = (value, value) if isinstance(value, int) else value
    return int(height), int(width)
