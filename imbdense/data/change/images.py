"""The images of a pair: decoded whole, from PNG, JPEG or a raster of any number of bands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.geotiff import check_same_grid, open_raster, read_window
from imbdense.data.raster.grid import grid_of, metric_transform
from imbdense.data.readers.errors import LabelReadError

TIFF_MAGIC = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
_PNG, _PNG_END = b'\x89PNG\r\n\x1a\n', b'IEND\xaeB`\x82'
_JPEG, _JPEG_END = b'\xff\xd8\xff', b'\xff\xd9'
TAIL = 4096
"""A JPEG may carry a few bytes behind its end marker."""


def is_raster(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a TIFF, by its first bytes.

    Raises:
        LabelReadError: there is no such file.
    """
    try:
        with open(path, 'rb') as handle:
            return handle.read(4) in TIFF_MAGIC
    except OSError as error:
        raise LabelReadError(
            Path(path), 'missing', f'cannot be opened ({error.strerror}).', 'Check data_prefix, suffix and split file.'
        ) from error


def read_date(
    path: str | os.PathLike[str], bands: Sequence[int] | None = None
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Read the image of one date.

    Images of three bands come in the order blue, green, red, as the hosts load them, so that their photometric
    transforms and ``bgr_to_rgb`` mean the same here. Named ``bands``, and any other number of bands, keep the order
    of the file. PNG and JPEG are always three bands of bytes; of a TIFF the number type stays for bytes and is float32
    otherwise.

    Args:
        path: the file.
        bands: 1-based band numbers of a TIFF; ``None`` = all.

    Returns:
        image (H, W, B), and (H, W) bool, False where any band is nodata or not finite; ``None`` = valid everywhere.

    Raises:
        LabelReadError: missing, cut off, no image; ``bands`` for a file that is no TIFF. ValueError: a band that is not
            there. OSError: a broken raster. Every message names the file.
    """
    if not is_raster(path):
        if bands is not None:
            raise LabelReadError(
                Path(path), 'bands', f'is no TIFF, of which bands {list(bands)} could be chosen.', 'Leave bands out.'
            )
        return _decode(path), None
    with open_raster(path) as source:
        values, valid = read_window(source, (0, 0, source.height, source.width), bands)
    if bands is None and values.shape[2] == 3:
        values = values[..., ::-1]
    kept = values if values.dtype == np.uint8 else values.astype(np.float32)
    return np.ascontiguousarray(kept), None if valid.all() else valid


DATES_CURE = 'Warp one date onto the other with `rio warp SECOND OUT --like FIRST --resampling bilinear`.'


def check_same_place(
    first: str | os.PathLike[str], second: str | os.PathLike[str], cure: str = DATES_CURE
) -> None:
    """Raise ``ValueError`` naming both files unless two rasters lie on one grid; other files have no place."""
    if is_raster(first) and is_raster(second):
        with open_raster(first) as one, open_raster(second) as two:
            check_same_grid(one, two, cure)


def place_in_metres(path: str | os.PathLike[str]) -> tuple[float, ...] | None:
    """Geotransform in metres of a raster, for areas; ``None`` for other files and where there is no projected grid."""
    if not is_raster(path):
        return None
    with open_raster(path) as source:
        return metric_transform(grid_of(source))


def _decode(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """A PNG, JPEG or other usual image as blue, green, red; decoders give half an image where a file is cut off."""
    import cv2

    content = Path(path).read_bytes()
    cut = (content.startswith(_PNG) and not content.endswith(_PNG_END)) or (
        content.startswith(_JPEG) and _JPEG_END not in content[-TAIL:]
    )
    image = None if cut or not content else cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        problem = 'is cut off: the end of the file is missing.' if cut else 'cannot be decoded as an image.'
        raise LabelReadError(Path(path), 'unreadable', problem, 'Get this file again.')
    return image
