"""The folder of an object pool: names, number types, the description file, and its errors.

``meta.json`` {version, feature_dim, dtype, classes, source, created_by_config_hash, ...}; ``image_ids.json`` (M unique
strings); ``obj_image.npy`` int64, ``obj_class.npy`` int32, ``obj_score.npy``, ``obj_area.npy`` float32 (N,),
``obj_box.npy`` float32 (N, 4), ``obj_feat.npy`` float16 or float32 (N, D); where there are any ``img_feat.npy``
(M, D') of the same type, ``img_cost.npy`` float32 (M,) minutes, ``img_group.npy`` int64 (M,).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

VERSION = 1
META, IDS = 'meta.json', 'image_ids.json'
FEATURE_DTYPES = ('float16', 'float32')
OBJECT_ARRAYS: dict[str, np.dtype[Any]] = {
    'obj_image': np.dtype('<i8'), 'obj_class': np.dtype('<i4'), 'obj_score': np.dtype('<f4'),
    'obj_box': np.dtype('<f4'), 'obj_area': np.dtype('<f4'),
}  # fmt: skip
IMAGE_ARRAYS: dict[str, np.dtype[Any]] = {'img_cost': np.dtype('<f4'), 'img_group': np.dtype('<i8')}
FEATURES = ('obj_feat', 'img_feat')
CURE = 'It was cut off or altered: make the pool again (`imbdense select pool`).'


class PoolError(ValueError):
    """A folder is no usable object pool; the message names the file and what is wrong with it."""


def read_json(path: Path) -> Any:
    """The content of a JSON file of a pool.

    Raises:
        PoolError: it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise PoolError(
            f'{path} is missing: {path.parent} is no object pool. Make one with `imbdense select pool`.'
        ) from error
    except (OSError, ValueError) as error:
        raise PoolError(f'{path} cannot be read ({error}). {CURE}') from error


def read_meta(folder: Path) -> dict[str, Any]:
    """The description of a pool, with its keys checked.

    Raises:
        PoolError: missing, of another version, or without what a reader needs.
    """
    path = folder / META
    meta = read_json(path)
    if not isinstance(meta, dict) or meta.get('version') != VERSION:
        found = meta.get('version') if isinstance(meta, dict) else None
        raise PoolError(f'{path} has the version {found!r}, expected {VERSION}. Make the pool again.')
    classes, dim, dtype = meta.get('classes'), meta.get('feature_dim'), meta.get('dtype')
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise PoolError(f'{path}: classes must be a list of names, but is {classes!r}.')
    if not isinstance(dim, int) or isinstance(dim, bool) or dim < 0:
        raise PoolError(f'{path}: feature_dim must be an integer >= 0, but is {dim!r}.')
    if dtype not in FEATURE_DTYPES:
        raise PoolError(f'{path}: dtype must be one of {list(FEATURE_DTYPES)}, but is {dtype!r}.')
    return meta
