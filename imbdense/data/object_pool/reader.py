"""Open a pool on disk: memory maps, checked file by file."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.selection import ObjectPool
from imbdense.data.object_pool.inspection import inspect_pool
from imbdense.data.object_pool.layout import (
    CURE,
    FEATURES,
    IDS,
    IMAGE_ARRAYS,
    META,
    OBJECT_ARRAYS,
    PoolError,
    read_json,
    read_meta,
)

_logger = logging.getLogger(__name__)


def open_pool(folder: str | os.PathLike[str]) -> ObjectPool:
    """Open a pool for reading.

    All arrays are memory maps. The first opening reads everything once, 16 MB at a time, to hash the files and to find
    features that are not finite or all zero (``usable`` is False there; their number is told as a warning); what it
    found lies beside the arrays (``checked.json``, ``usable.npy``), so that the next opening reads no feature. Where
    the folder cannot be written, each opening reads everything.

    Raises:
        PoolError: a file is missing, cut off, of another type or length, or holds values out of range; it is named.
    """
    path = Path(folder)
    meta = read_meta(path)
    image_ids = _image_ids(path)
    arrays: dict[str, NDArray[Any]] = {}
    for name, dtype in OBJECT_ARRAYS.items():
        arrays[name] = _mapped(path / f'{name}.npy', dtype)
    for name, dtype in IMAGE_ARRAYS.items():
        if (path / f'{name}.npy').exists():
            arrays[name] = _mapped(path / f'{name}.npy', dtype)
    for name in FEATURES:
        if name == 'obj_feat' or (path / f'{name}.npy').exists():
            arrays[name] = _mapped(path / f'{name}.npy', np.dtype(meta['dtype']).newbyteorder('<'))
    width = arrays['obj_feat'].shape[1:]
    if width != (meta['feature_dim'],):
        raise PoolError(f'{path / "obj_feat.npy"} has rows of shape {width}, but {META} says {meta["feature_dim"]}.')
    names = [META, IDS, *(f'{name}.npy' for name in arrays)]
    try:
        ObjectPool(meta['classes'], image_ids, **arrays)  # before the long look at the features
        found = inspect_pool(path, names, arrays['obj_feat'])
        pool = ObjectPool(meta['classes'], image_ids, **arrays, usable=found.usable, fingerprint=found.fingerprint)
    except PoolError:
        raise
    except ValueError as error:
        raise PoolError(f'{path}: {error} The array NAME lies in NAME.npy. {CURE}') from error
    if found.unusable:
        _logger.warning('%s: the features of %d of %d objects are not usable (%d not finite, %d all zero); selectors '
                        'leave these objects out.', path, found.unusable, pool.num_objects, *found.reasons)
    return pool


def _image_ids(folder: Path) -> list[str]:
    """The names of the images."""
    ids = read_json(folder / IDS)
    if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids):
        raise PoolError(f'{folder / IDS} must hold a list of strings.')
    return ids


def _mapped(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Memory map of one array; an empty one is read, since nothing of it can be mapped."""
    if not path.is_file():
        raise PoolError(f'{path} is missing. {CURE}')
    try:
        with open(path, 'rb') as stream:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, found = read(stream)
            start = stream.tell()
    except (OSError, ValueError, EOFError) as error:
        raise PoolError(f'{path} is no array of NumPy ({error}). {CURE}') from error
    if found != dtype:
        raise PoolError(f'{path} holds {found}, expected {dtype.name}. {CURE}')
    expected, size = start + int(np.prod(shape)) * dtype.itemsize, path.stat().st_size
    if size != expected or fortran:
        raise PoolError(f'{path} is {size} bytes long, expected {expected} for the shape {shape} in C order. {CURE}')
    if size == start:
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype, 'r', start, shape)
