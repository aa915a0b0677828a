"""Label masks as they are stored: indexed and grey PNG, TIFF and GeoTIFF of one band, colour-coded RGB."""

from __future__ import annotations

import contextlib
import logging
import os
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.readers.errors import LabelReadError

GDAL_OPTIONS = {'GDAL_DISABLE_READDIR_ON_OPEN': 'EMPTY_DIR', 'GDAL_PAM_ENABLED': 'NO', 'GDAL_NUM_THREADS': '1'}
"""Do not list the folder at every open (quadratic in big folders), write no side files, decode in this thread."""

_PNG = b'\x89PNG\r\n\x1a\n'
_PNG_END = b'\0\0\0\0IEND\xaeB`\x82'
_TIFF = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
_BROKEN = 'It is probably truncated or not an image: get this file again (a partly copied or uploaded file looks so).'
_session = threading.local()


def read_mask(path: str | Path) -> NDArray[Any]:
    """Return the stored label: (H, W) integers, or (H, W, 3) uint8 colours where the file has three or four channels.

    Palette PNGs give their indices, not their colours. Alpha is dropped. Eight-bit PNGs of one channel are decoded by
    :mod:`.png` where numba and deflate are installed (5 times faster than OpenCV); TIFFs and other such PNGs by GDAL
    where rasterio is installed; all else by PIL. The values are the same whoever decodes.

    Raises:
        LabelReadError: missing, truncated, no image, or a number type that cannot hold class indices.
    """
    path = Path(path)
    head = _head(path)
    try:
        array = _read_fast(path, head)
        if array is None and _has_rasterio() and _wants_gdal(head) and _complete(path, head):
            array = _read_gdal(path)
        if array is None:
            array = _read_pil(path)
    except LabelReadError:
        raise
    except Exception as error:
        raise LabelReadError(path, 'unreadable', f'cannot be decoded ({_short(error)}).', _BROKEN) from error
    return _as_label(array, path)


def mask_nodata(path: str | Path) -> float | None:
    """The value that a TIFF declares as "no data"; None for other files, without one, or without rasterio."""
    path = Path(path)
    if _head(path)[:4] not in _TIFF or not _has_rasterio():
        return None
    with gdal_session(), _open_quietly(path) as source:
        return None if source.nodata is None else float(source.nodata)


def mask_size(path: str | Path) -> tuple[int, int]:
    """(height, width) from the header alone, for any image; works for labels and images.

    Raises:
        LabelReadError: missing or no image.
    """
    path = Path(path)
    head = _head(path)
    if head.startswith(_PNG) and len(head) >= 24:
        width, height = struct.unpack('>II', head[16:24])
        return int(height), int(width)
    try:
        if head[:4] in _TIFF and _has_rasterio():
            with gdal_session(), _open_quietly(path) as source:
                return int(source.height), int(source.width)
        from PIL import Image

        with trusting_pil(), Image.open(path) as image:
            return image.height, image.width
    except Exception as error:
        raise LabelReadError(path, 'unreadable', f'has no readable header ({_short(error)}).', _BROKEN) from error


@contextlib.contextmanager
def gdal_session() -> Iterator[None]:
    """Keep one GDAL environment open in this thread; entering one for every file would cost as much as decoding."""
    if getattr(_session, 'open', False) or not _has_rasterio():
        yield
        return
    import rasterio

    logging.getLogger('rasterio').setLevel(logging.CRITICAL)  # errors are raised; its log would repeat each of them
    _session.open = True
    try:
        with rasterio.Env(**GDAL_OPTIONS):
            yield
    finally:
        _session.open = False


@lru_cache(maxsize=1)
def _has_rasterio() -> bool:
    """Whether the fast decoder is installed."""
    return find_spec('rasterio') is not None


def _head(path: Path) -> bytes:
    """First bytes of the file; errors of the file system become errors that help."""
    try:
        with open(path, 'rb') as handle:
            head = handle.read(32)
    except FileNotFoundError as error:
        raise LabelReadError(
            path, 'missing', 'does not exist.', 'Check the folder, the suffix and the split file.'
        ) from error
    except OSError as error:
        raise LabelReadError(
            path, 'unreadable', f'cannot be opened ({error.strerror}).', 'Check its permissions.'
        ) from error
    if not head:
        raise LabelReadError(path, 'unreadable', 'is empty (0 bytes).', _BROKEN)
    return head


@lru_cache(maxsize=1)
def _png_decoder() -> Callable[[bytes], NDArray[np.uint8] | None] | None:
    """The compiled decoder, where numba and deflate are installed."""
    try:
        from imbdense.data.readers.png import decode_png
    except ImportError:
        return None
    return decode_png


def _read_fast(path: Path, head: bytes) -> NDArray[Any] | None:
    """Pixels of a plain PNG; ``None`` for other and for faulty files, on which the libraries decide."""
    decode = _png_decoder() if head.startswith(_PNG) else None
    return None if decode is None else decode(path.read_bytes())


def _wants_gdal(head: bytes) -> bool:
    """8-bit grey or palette PNGs and TIFFs; for smaller depths PIL and GDAL scale differently and hosts use PIL."""
    if head.startswith(_PNG):
        return len(head) >= 26 and head[24] == 8 and head[25] in (0, 3)
    return head[:4] in _TIFF


def _complete(path: Path, head: bytes) -> bool:
    """GDAL gives what it got of a PNG that was cut off, without an error; PIL, which then decides, refuses it."""
    if not head.startswith(_PNG):
        return True
    with open(path, 'rb') as handle:
        handle.seek(-12, os.SEEK_END)
        return handle.read() == _PNG_END


def _read_gdal(path: Path) -> NDArray[Any]:
    """One band, or the first three."""
    with gdal_session(), _open_quietly(path) as source:
        if source.count == 1:
            return source.read(1)
        if source.count in (3, 4):
            return np.moveaxis(source.read((1, 2, 3)), 0, -1)
        raise LabelReadError(
            path, 'shape', f'has {source.count} bands.', 'A label has one band of class indices, or three of colours.'
        )


def _open_quietly(path: Path) -> Any:
    """Open without the warning that a plain image has no geo-reference."""
    import rasterio

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return rasterio.open(path)


def _read_pil(path: Path) -> NDArray[Any]:
    """Indices of a palette image, otherwise the channels as they are."""
    from PIL import Image

    with trusting_pil(), Image.open(path) as image:
        if image.mode in ('RGBA', 'CMYK', 'YCbCr', 'LAB', 'HSV', 'RGBX'):
            image = image.convert('RGB')
        if image.mode in ('LA', 'PA'):
            image = image.getchannel(0)
        return np.asarray(image)


@contextlib.contextmanager
def trusting_pil() -> Iterator[None]:
    """Aerial originals have more pixels than PIL trusts by default."""
    from PIL import Image

    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _as_label(array: NDArray[Any], path: Path) -> NDArray[Any]:
    """Only whole numbers are classes; floats that hold whole numbers (GIS exports) are accepted."""
    if array.dtype == bool:
        array = array.view(np.uint8)
    if np.issubdtype(array.dtype, np.floating):
        whole = np.nan_to_num(array, nan=-1.0)
        if not np.array_equal(whole, np.floor(whole)):
            raise LabelReadError(
                path,
                'values',
                f'holds fractions ({array.dtype}).',
                'A label holds class indices; is this the image or a score map?',
            )
        array = whole.astype(np.int64)
    if array.ndim == 3 and array.shape[2] == 3 and array.dtype != np.uint8:
        raise LabelReadError(
            path, 'shape', f'has three channels of {array.dtype}.', 'Is this the image instead of its label?'
        )
    return array


def _short(error: Exception) -> str:
    """First line of a message, without the path that is named anyway."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]
