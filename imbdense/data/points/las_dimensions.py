"""What of a cloud becomes an extra dimension of LAS, what its classification; named errors where that does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.errors import PointWriteError

NAME_BYTES = 32
INSTANCE = 'instance'


def extra_columns(cloud: PointCloud, known: set[str]) -> dict[str, NDArray[Any]]:
    """What becomes an extra dimension: attributes that the format does not know, and instances."""
    found = {name: values for name, values in cloud.attributes.items() if name not in known | {'rgb', 'nir'}}
    if cloud.instance is not None:
        found[INSTANCE] = cloud.instance.astype(np.int32)
    return found


def add_dimensions(laspy: Any, path: Path, header: Any, columns: dict[str, NDArray[Any]]) -> tuple[str, ...]:
    """Add an extra dimension to a header for every column that it does not have yet; return all the names.

    Raises:
        PointWriteError: what LAS cannot hold, or a dimension of that name and of another type.
    """
    present = {item.name: item for item in header.point_format.extra_dimensions}
    for name, values in columns.items():
        width = values.shape[1] if values.ndim == 2 else 1
        kind = np.dtype(np.uint8) if values.dtype == bool else values.dtype
        if kind.kind not in 'uif' or kind.itemsize > 8 or kind == np.float16 or width > 3 or width == 0:
            raise PointWriteError(
                f'{path}: {name!r} is {values.dtype} with {width} columns; an extra dimension of LAS holds 1 to 3 '
                f'integers, float32 or float64.'
            )
        if len(name.encode()) > NAME_BYTES:
            raise PointWriteError(f'{path}: the name {name!r} is longer than the {NAME_BYTES} bytes that LAS keeps.')
        asked = f'{width}{kind.str[1:]}' if width > 1 else kind.str[1:]
        if name not in present:
            header.add_extra_dim(laspy.ExtraBytesParams(name, asked))
        elif present[name].dtype != np.dtype(f'<{asked}') or present[name].is_scaled:
            raise PointWriteError(
                f'{path}: the original has a dimension {name!r} of another type ({present[name].dtype}) than what is '
                f'to be written there ({asked}). Rename or remove it in the original, which would be lost.'
            )
    return tuple(columns)


def set_dimensions(path: Path, record: Any, columns: dict[str, NDArray[Any]], expected: tuple[str, ...]) -> None:
    """Fill the extra dimensions of one chunk."""
    if tuple(columns) != expected:
        raise PointWriteError(
            f'{path}: this chunk has {list(columns)}, but the first one had {list(expected)}. All must have the same.'
        )
    for name, values in columns.items():
        record[name] = values


def set_labels(path: Path, record: Any, cloud: PointCloud) -> None:
    """Fill ``classification``; codes that do not fit are named."""
    if cloud.semantic is None:
        return
    check_labels(path, record.point_format.id, cloud.semantic)
    record['classification'] = cloud.semantic.astype(np.uint8)


def check_labels(path: Path, point_format: int, semantic: NDArray[np.int64]) -> None:
    """Raise :class:`PointWriteError` for codes that ``classification`` cannot hold."""
    largest = 31 if point_format < 6 else 255
    bad = np.unique(semantic[(semantic < 0) | (semantic > largest)])
    if bad.size:
        raise PointWriteError(
            f'{path}: classification holds 0 to {largest} in point format {point_format}, but the labels '
            f'have {bad[:10].tolist()}. Give these points a code (1 is "unclassified"), or store the labels as an '
            f'attribute, which becomes an extra dimension.'
        )
