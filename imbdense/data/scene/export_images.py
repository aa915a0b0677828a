"""Image files of one view: PNG for colours, masks and instances, NPZ for depth. Same arrays, same bytes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


def png_bytes(array: NDArray[np.uint8] | NDArray[np.uint16], *, palette: Sequence[tuple[int, int, int]] | None = None,
              level: int = 3) -> bytes:
    """Return a PNG of ``array``: uint8 (H, W, 3), uint16 (H, W), or uint8 (H, W), indexed when ``palette`` is given."""
    from PIL import Image

    image = Image.fromarray(array)
    if palette is not None:
        image = Image.fromarray(array, 'L')
        flat = np.zeros((256, 3), np.uint8)
        flat[: len(palette)] = palette
        flat[255] = 255
        indexed = Image.new('P', image.size)
        indexed.putpalette(flat.tobytes())
        indexed.paste(image)
        image = indexed
    buffer = io.BytesIO()
    image.save(buffer, 'PNG', compress_level=level)
    return buffer.getvalue()


def read_png(path: str | Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Return the pixels of a PNG written here; indexed PNGs give their indices.

    Raises:
        ValueError: the file is truncated or no image; the message names it.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            array = np.array(image)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f'{path} cannot be read as an image ({error}); delete its scene folder and generate again.'
                         ) from error
    return array.astype(np.uint16) if array.dtype == np.int32 else array


def npz_bytes(**arrays: NDArray[np.float32]) -> bytes:
    """Return a compressed NPZ (read with ``numpy.load``) without time stamps."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f'{name}.npy', _ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content.getvalue(), compresslevel=1)
    return buffer.getvalue()
