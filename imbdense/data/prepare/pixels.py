"""Pixels of a recipe: reading images, colour codes to class indices, tables of ids, windows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.prepare.job import PrepareError
from imbdense.data.readers import palettes
from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.masks import trusting_pil

RGB = tuple[int, int, int]


def read_image(path: Path, *, grey: bool = False) -> NDArray[Any]:
    """Read an image as RGB uint8 (H, W, 3), or as it is (H, W) when ``grey``; palette PNGs give indices.

    Raises:
        PrepareError: the file is truncated or not an image.
    """
    from PIL import Image

    try:
        with trusting_pil(), Image.open(path) as image:
            return np.asarray(image if grey else image.convert('RGB'))
    except (OSError, SyntaxError, ValueError) as error:
        raise PrepareError(f'cannot read {path} ({error}); it is probably truncated: get this file again.') from error


def colours_to_index(
    image: NDArray[Any], colours: Mapping[RGB, int], *, path: Path, tolerance: int = 0
) -> NDArray[np.uint8]:
    """Turn an RGB colour-coded mask (H, W, 3) into class indices (H, W).

    ``tolerance`` > 0 takes a colour that is off by at most that much in every channel as the nearest defined one.

    Raises:
        PrepareError: a colour that the data set does not define occurs; the message names file and colours.
    """
    table = tuple((*map(int, colour), int(index)) for colour, index in colours.items())
    try:
        return palettes.colours_to_index(image, table, path, tolerance=tolerance)
    except LabelReadError as error:
        raise PrepareError(str(error)) from error


def ids_to_index(label: NDArray[Any], table: Mapping[int, int], *, path: Path) -> NDArray[np.uint8]:
    """Map raw label ids (H, W) to class indices; an id that ``table`` lacks is an error naming file and ids."""
    if label.ndim != 2:
        raise PrepareError(f'{path} has shape {label.shape}; a label image of one channel was expected.')
    lookup = np.full(65536, -1, np.int16)
    for raw, index in table.items():
        lookup[raw] = index
    mapped = lookup[label.astype(np.int64)]
    if (mapped < 0).any():
        unknown = np.unique(label[mapped < 0])[:10].tolist()
        raise PrepareError(f'{path} holds the ids {unknown}, which the data set does not define.')
    return mapped.astype(np.uint8)


def check_same_size(image: NDArray[Any], label: NDArray[Any], image_path: Path, label_path: Path) -> None:
    """Raise unless image and label cover the same pixels."""
    if image.shape[:2] != label.shape[:2]:
        raise PrepareError(
            f'{label_path} is {label.shape[:2]} but its image {image_path} is {image.shape[:2]} (rows, columns).'
        )


def windows(height: int, width: int, tile: int, overlap: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (y0, x0, y1, x1) that cover the image; the last window of a row or column is moved back to the border.

    ``tile`` 0, or an image not larger than a tile: one window. Raises ``PrepareError`` when overlap >= tile.
    """
    if tile and not 0 <= overlap < tile:
        raise PrepareError(f'overlap must lie in [0, tile={tile}), but is {overlap}.')
    for y in _starts(height, tile, overlap):
        for x in _starts(width, tile, overlap):
            yield y, x, min(y + (tile or height), height), min(x + (tile or width), width)


def _starts(size: int, tile: int, overlap: int) -> list[int]:
    """Window starts along one axis."""
    if not tile or size <= tile:
        return [0]
    return [*range(0, size - tile, tile - overlap), size - tile]
