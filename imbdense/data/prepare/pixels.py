"""Pixels of a recipe: reading images, colour codes to class indices, tables of ids, windows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.prepare.job import PrepareError

RGB = tuple[int, int, int]


def read_image(path: Path, *, grey: bool = False) -> NDArray[Any]:
    """Read an image as RGB uint8 (H, W, 3), or as it is (H, W) when ``grey``; palette PNGs give indices.

    Raises:
        PrepareError: the file is truncated or not an image.
    """
    from PIL import Image

    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # aerial originals have more pixels than PIL trusts
    try:
        with Image.open(path) as image:
            return np.asarray(image if grey else image.convert('RGB'))
    except (OSError, SyntaxError, ValueError) as error:
        raise PrepareError(f'cannot read {path} ({error}); it is probably truncated: get this file again.') from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def colours_to_index(
    image: NDArray[Any], colours: Mapping[RGB, int], *, path: Path, tolerance: int = 0
) -> NDArray[np.uint8]:
    """Turn an RGB colour-coded mask (H, W, 3) into class indices (H, W).

    ``tolerance`` > 0 takes a colour that is off by at most that much in every channel as the nearest defined one.

    Raises:
        PrepareError: a colour that the data set does not define occurs; the message names file and colours.
    """
    keys = np.array([(r << 16) | (g << 8) | b for r, g, b in colours], np.int32)
    values = np.array(list(colours.values()), np.uint8)
    order = np.argsort(keys)
    keys, values = keys[order], values[order]
    code = image[..., 0].astype(np.int32) << 16 | image[..., 1].astype(np.int32) << 8 | image[..., 2]
    place = np.searchsorted(keys, code).clip(max=len(keys) - 1)
    unknown = keys[place] != code
    if unknown.any():
        strange = np.unique(code[unknown])
        nearest, far = _nearest_colours(strange, keys, tolerance)
        place[unknown] = nearest[np.searchsorted(strange, code[unknown])]
        if not far.any():
            return values[place]
        found = [tuple(colour) for colour in _split_channels(strange[far])[:5].tolist()]
        raise PrepareError(
            f'{path} has {int(np.isin(code, strange[far]).sum())} pixels of undefined colours, e.g. {found}. '
            f'Was it saved with loss (JPEG) or resized with interpolation?'
        )
    return values[place]


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


def _split_channels(codes: NDArray[Any]) -> NDArray[np.int32]:
    """24-bit codes (K,) to channels (K, 3)."""
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1).astype(np.int32)


def _nearest_colours(
    strange: NDArray[Any], keys: NDArray[Any], tolerance: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Position of the nearest defined colour of each strange one, and whether it is farther than the tolerance."""
    distance = np.abs(_split_channels(strange)[:, None] - _split_channels(keys)[None]).max(axis=-1)
    return distance.argmin(axis=1), distance.min(axis=1) > tolerance


def _starts(size: int, tile: int, overlap: int) -> list[int]:
    """Window starts along one axis."""
    if not tile or size <= tile:
        return [0]
    return [*range(0, size - tile, tile - overlap), size - tile]
