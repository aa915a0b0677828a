"""What one image gives to a pool, and its bytes in a shard."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.object_pool.layout import PoolError

HEADER = struct.Struct('<4sIqqiifq')
"""magic, CRC of the rest of header and body, image, objects (-1 = failed), D, D', minutes, group."""
MAGIC = b'IPR1'
_COLUMNS = (('klass', '<i4', ()), ('score', '<f4', ()), ('box', '<f4', (4,)), ('area', '<f4', ()))


@dataclass(frozen=True, eq=False)
class PoolImage:
    """The objects of one image.

    Attributes:
        klass: (n,) class indices, -1 = unknown.
        score: (n,) confidence, 1 for ground truth.
        box: (n, 4) x1, y1, x2, y2 in pixels of the original image.
        area: (n,) pixels of the mask, or of the box.
        feat: (n, D) features; n = 0 keeps its D.
        img_feat: (D',) feature of the image; all images have one or none has.
        cost: minutes to label it. group: scene, slide or flight.
    """

    klass: NDArray[Any]
    score: NDArray[Any]
    box: NDArray[Any]
    area: NDArray[Any]
    feat: NDArray[Any]
    img_feat: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.float32))
    cost: float = 1.0
    group: int = 0

    def __len__(self) -> int:
        """n."""
        return len(self.klass)


@dataclass(frozen=True)
class Header:
    """What a record says about itself: ``objects`` is -1 for an image that failed, ``size`` the bytes of its body."""

    image: int
    objects: int
    dim: int
    img_dim: int
    cost: float
    group: int
    crc: int

    @property
    def failed(self) -> bool:
        """Whether the image could not be used; the body is the reason."""
        return self.objects < 0

    @property
    def size(self) -> int:
        """Bytes of the body."""
        if self.failed:
            return self.dim
        return 4 * (self.objects * (7 + self.dim) + self.img_dim)


def pack(image: int, content: PoolImage | str) -> bytes:
    """Header and body of an image; of a string the record of an image that failed, with the reason.

    Raises:
        ValueError: arrays whose lengths do not fit together; the image's index and the array are named.
    """
    if isinstance(content, str):
        body = content.encode('utf-8')
        facts = (image, -1, len(body), 0, 1.0, 0)
    else:
        count = len(content)
        parts = []
        for name, kind, tail in _COLUMNS:
            parts.append(_checked(image, name, getattr(content, name), kind, (count, *tail)))
        feat, img_feat = np.asarray(content.feat), np.asarray(content.img_feat)
        if feat.ndim != 2 or img_feat.ndim != 1:
            raise ValueError(f'image {image}: feat must be (n, D) and img_feat (D\'), but are {feat.shape}, '
                             f'{img_feat.shape}.')
        parts.append(_checked(image, 'feat', feat, '<f4', (count, feat.shape[1])))
        parts.append(np.ascontiguousarray(img_feat, '<f4'))
        body = b''.join(part.tobytes() for part in parts)
        facts = (image, count, feat.shape[1], len(img_feat), float(content.cost), int(content.group))
    tail_bytes = HEADER.pack(MAGIC, 0, *facts)[8:]
    return HEADER.pack(MAGIC, zlib.crc32(body, zlib.crc32(tail_bytes)), *facts) + body


def read_header(data: bytes) -> Header | None:
    """The header at the start of ``data``; ``None`` if there is none."""
    if len(data) < HEADER.size:
        return None
    magic, crc, image, objects, dim, img_dim, cost, group = HEADER.unpack(data[: HEADER.size])
    if magic != MAGIC or objects < -1 or dim < 0 or img_dim < 0:
        return None
    return Header(image, objects, dim, img_dim, cost, group, crc)


def unpack(data: bytes, where: str) -> PoolImage | str:
    """The content of a record.

    Raises:
        PoolError: its bytes have changed since they were written; ``where`` is named.
    """
    header = read_header(data)
    body = data[HEADER.size :]
    if header is None or len(body) != header.size or zlib.crc32(body, zlib.crc32(data[8 : HEADER.size])) != header.crc:
        raise PoolError(f'{where} is damaged (CRC). Remove the folder and make the pool again.')
    if header.failed:
        return body.decode('utf-8')
    found, start = {}, 0
    columns = (*_COLUMNS, ('feat', '<f4', (header.dim,)))
    for name, kind, tail in columns:
        shape = (header.objects, *tail)
        size = int(np.prod(shape))
        found[name] = np.frombuffer(body, kind, size, start).reshape(shape)
        start += 4 * size
    img_feat = np.frombuffer(body, '<f4', header.img_dim, start)
    return PoolImage(**found, img_feat=img_feat, cost=header.cost, group=header.group)


def _checked(image: int, name: str, values: Any, kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """The array in its type."""
    array = np.ascontiguousarray(values, kind)
    if array.shape != shape:
        raise ValueError(f'image {image}: {name} must have the shape {shape}, but has {array.shape}.')
    return array
