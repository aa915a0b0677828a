"""Colour-coded masks to class indices."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.data.readers.errors import LabelReadError

Colour = tuple[int, int, int, int]
"""(red, green, blue, index)."""


def colour_table(
    palette: Sequence[Sequence[int]], ignored: Sequence[Sequence[int]] = (), ignore_index: int = 255
) -> tuple[Colour, ...]:
    """The table colour -> index: ``palette[i]`` is class i; the ``ignored`` colours become ``ignore_index``.

    Raises:
        ValueError: a colour is no (r, g, b) of 0..255, or stands for two indices.
    """
    rows = [(*map(int, colour), index) for index, colour in enumerate(palette)]
    rows += [(*map(int, colour), ignore_index) for colour in ignored]
    for row in rows:
        if len(row) != 4 or not all(0 <= value <= 255 for value in row):
            raise ValueError(f'palette colours must be (red, green, blue) of 0..255, but one is {row[:-1]}.')
    seen: dict[tuple[int, ...], int] = {}
    for *colour, index in rows:
        if seen.setdefault(tuple(colour), index) != index:
            raise ValueError(f'the colour {tuple(colour)} stands for the indices {seen[tuple(colour)]} and {index}.')
    return tuple(rows)


def colours_to_index(
    mask: NDArray[np.uint8],
    table: tuple[Colour, ...],
    path: str | Path,
    *,
    tolerance: int = 0,
    unknown_index: int | None = None,
) -> NDArray[np.uint8]:
    """Turn colours (H, W, 3) into indices (H, W) uint8 by ``table``.

    ``tolerance`` > 0 takes a colour that is off by at most that much in every channel as the nearest one of the table.
    Colours that are farther off become ``unknown_index``.

    Raises:
        LabelReadError: ``unknown_index`` is ``None`` and a colour is not in the table; the message holds the first few,
            how many pixels, and where the first is.
    """
    keys, values = _sorted_table(table)
    code = mask[..., 0].astype(np.int32) << 16
    code |= mask[..., 1].astype(np.int32) << 8
    code |= mask[..., 2]
    place = np.searchsorted(keys, code)
    np.minimum(place, keys.size - 1, out=place)
    unknown = keys[place] != code
    if unknown.any():
        strange = np.unique(code[unknown])
        nearest, far = _nearest_colours(strange, keys, tolerance)
        place[unknown] = nearest[np.searchsorted(strange, code[unknown])]
        if far.any() and unknown_index is not None:
            indices = values[place]
            indices[np.isin(code, strange[far])] = unknown_index
            return indices
        if far.any():
            row, column = np.argwhere(np.isin(code, strange[far]))[0].tolist()
            found = [tuple(colour) for colour in _channels(strange[far])[:5].tolist()]
            raise LabelReadError(
                path,
                'colours',
                f'has {int(np.isin(code, strange[far]).sum())} pixels of colours that the palette lacks, for example '
                f'{found}; the first is at row {row}, column {column}.',
                'Add them to the palette or to the ignored colours; many almost equal colours mean that the mask was '
                'saved with loss (JPEG) or resized with interpolation.',
            )
    return values[place]


@lru_cache(maxsize=16)
def _sorted_table(table: tuple[Colour, ...]) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Packed colours ascending, and their indices."""
    keys = np.array([r << 16 | g << 8 | b for r, g, b, _ in table], np.int32)
    order = np.argsort(keys)
    return keys[order], np.array([row[3] for row in table], np.uint8)[order]


def _channels(codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """24-bit codes (K,) to channels (K, 3)."""
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1).astype(np.int32)


def _nearest_colours(
    strange: NDArray[np.int32], keys: NDArray[np.int32], tolerance: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Place in the table of the nearest colour to each strange one, and whether it is farther than the tolerance."""
    distance = np.abs(_channels(strange)[:, None] - _channels(keys)[None]).max(axis=-1)
    return distance.argmin(axis=1), distance.min(axis=1) > tolerance
