"""A label image as runs of equal class: everything a scan counts costs one pass over the runs, not over the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE_BINS = 40
"""Bins of the region-size histogram; the last one begins at 2**39 pixels."""


@lru_cache(maxsize=1)
def kernels() -> ModuleType:
    """The compiled kernels where numba is installed, otherwise the numpy ones (about five times slower, equal)."""
    try:
        from imbdense.data.scan import runs_numba
    except ImportError:
        from imbdense.data.scan import runs_numpy

        return runs_numpy
    return runs_numba


@dataclass(frozen=True)
class LabelCounts:
    """What one label image holds.

    Attributes:
        pixels: int64 (256,) pixels per mapped value.
        regions: int64 (C,) 8-connected regions, or None.
        sizes: int64 (C, SIZE_BINS) regions by size; bin b holds 2**b <= pixels < 2**(b + 1); or None.
        present: (P,) classes that occur, ascending.
        pointer: (P + 1,) and ``positions``: flat positions of class ``present[p]`` at ``pointer[p]:pointer[p + 1]``.
    """

    pixels: NDArray[np.int64]
    regions: NDArray[np.int64] | None
    sizes: NDArray[np.int64] | None
    present: NDArray[np.int64]
    pointer: NDArray[np.int64]
    positions: NDArray[np.int64]


def count_label(
    label: NDArray[np.uint8],
    lookup: NDArray[np.uint8],
    num_classes: int,
    *,
    regions: bool = True,
    positions: int = 64,
    seed: tuple[int, int] = (0, 0),
) -> LabelCounts:
    """Count ``lookup[label]`` for a uint8 label (H, W) and draw up to ``positions`` pixels of every class.

    A class with n <= ``positions`` pixels gives all of them. Otherwise the n pixels, in row order, are cut into equal
    strata and one is drawn from each, so every pixel has the same chance and large regions are covered evenly. The
    draw depends on ``seed`` alone.
    """
    module = kernels()
    label = np.ascontiguousarray(label)
    if not regions and positions == 0:
        return _only_pixels(label, lookup, num_classes)
    width = label.shape[1]
    runs = module.extract_runs(label, lookup)
    pixels = module.count_pixels(*runs, width)
    present = np.flatnonzero(pixels[:num_classes])
    found = module.label_regions(*runs, width, num_classes) if regions else (None, None)
    pointer, ranks = _draw_ranks(pixels[present], positions, seed)
    slot = np.full(256, -1, np.int64)
    slot[present] = np.arange(present.size)
    drawn = module.locate(*runs, width, slot, pointer, ranks) if ranks.size else np.zeros(0, np.int64)
    return LabelCounts(pixels, found[0], found[1], present, pointer, drawn)


def _only_pixels(label: NDArray[np.uint8], lookup: NDArray[np.uint8], num_classes: int) -> LabelCounts:
    """The histogram alone: no runs are needed."""
    flat = label.reshape(-1)
    whole = flat.size // 8 * 8
    stored = kernels().histogram(flat[:whole].view(np.uint64), flat[whole:])
    pixels = np.bincount(lookup, weights=stored, minlength=256).astype(np.int64)
    present = np.flatnonzero(pixels[:num_classes])
    return LabelCounts(pixels, None, None, present, np.zeros(present.size + 1, np.int64), np.zeros(0, np.int64))


def _draw_ranks(pixels: NDArray[np.int64], limit: int, seed: tuple[int, int]) -> tuple[Any, Any]:
    """Which pixels of each class, counted in row order, are drawn; one vector of random numbers per file."""
    amounts = np.minimum(pixels, limit)
    pointer = np.concatenate([[0], np.cumsum(amounts)]).astype(np.int64)
    if pointer[-1] == 0:
        return pointer, np.zeros(0, np.int64)
    step = np.arange(pointer[-1]) - np.repeat(pointer[:-1], amounts)
    random = np.random.Generator(np.random.PCG64(seed)).random(step.size)
    total, many = np.repeat(pixels, amounts), np.repeat(pixels > limit, amounts)
    ranks = np.floor((step + np.where(many, random, 0.0)) * (total / np.repeat(amounts, amounts))).astype(np.int64)
    return pointer, np.minimum(np.where(many, ranks, step), total - 1)
