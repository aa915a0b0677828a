"""A folder of objects: the form of a finished round and of every shard it is merged from.

``index.npy`` (one row per object), ``data.bin`` (crop, then bit-packed mask, per object), ``images.json`` (image names)
and ``manifest.json`` (types, counts, size and SHA-256 of the others, and its own). Equal objects in equal order give
equal bytes. A folder appears by one rename: it is whole or absent.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from imbdense.data.instance_bank.objects import SOURCES, BankError, BankObject, Modality, check_object
from imbdense.utils.files import FileWriteError, atomic_open, atomic_write_bytes, atomic_write_json, atomic_write_text

FORMAT = 1
MANIFEST, INDEX, DATA, IMAGES = 'manifest.json', 'index.npy', 'data.bin', 'images.json'
ROW = np.dtype([
    ('offset', '<i8'), ('crc', '<u4'), ('klass', '<i4'), ('score', '<f4'), ('source', 'u1'), ('masked', 'u1'),
    ('image', '<i4'), ('shape', '<i4', (3,)), ('window', '<i4', (2,)), ('box', '<f8', (7,)), ('identity', 'V16'),
])  # fmt: skip
_ALIGN = 8


def write_folder(
    target: Path,
    items: Iterable[BankObject],
    modality: Modality,
    num_classes: int,
    records: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write objects, in the given order, as the folder ``target``; leave a folder of that name as it is.

    One object is in memory at a time. ``records``: JSON files that are kept beside and are no part of the checksum.

    Raises:
        ValueError: an object that does not belong there, or objects of different number types or band counts.
        FileWriteError: the disk.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f'.{target.name}.tmp-', dir=target.parent))
    try:
        rows, names, kind = [], {}, None
        with atomic_open(temporary / DATA) as handle:
            for item in items:
                check_object(item, modality, num_classes)
                found = item.values.dtype.newbyteorder('<').str, item.values.shape[-1]
                if kind is not None and found != kind:
                    raise ValueError(
                        f'instance bank: the object of {item.image} is {found}, earlier ones are {kind} (number type, '
                        f'bands). All images of a bank must be loaded alike.'
                    )
                kind = found
                rows.append(_append(handle, item, names.setdefault(item.image, len(names))))
        index = io.BytesIO()
        np.save(index, np.array(rows, ROW), allow_pickle=False)
        atomic_write_bytes(temporary / INDEX, index.getvalue())
        atomic_write_text(temporary / IMAGES, json.dumps(list(names)) + '\n')
        counts = np.bincount([row[2] for row in rows], minlength=num_classes).tolist()
        manifest = {
            'format': FORMAT, 'modality': modality, 'dtype': kind and kind[0], 'channels': kind and int(kind[1]),
            'counts': counts, 'files': {name: _facts(temporary / name) for name in (INDEX, DATA, IMAGES)},
        }  # fmt: skip
        manifest['checksum'] = _checksum(manifest)
        atomic_write_text(temporary / MANIFEST, json.dumps(manifest, indent=1) + '\n')
        for name, record in records.items():
            atomic_write_json(temporary / name, record)
        os.chmod(temporary, 0o777 & ~_umask())
        _rename(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class ObjectFolder:
    """Read a folder of objects, memory-mapped.

    Sizes of all files and the checksum of the small ones are verified on opening; every object carries a CRC that is
    verified when it is read, so damage never reaches an image. :meth:`verify` reads everything.

    Raises:
        BankError: a file is missing, truncated or changed; the message names it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = read_json(path / MANIFEST)
        if not isinstance(self.manifest, dict) or self.manifest.get('checksum') != _checksum(self.manifest):
            raise BankError(f'{path / MANIFEST} does not agree with its own checksum. {_CURE.format(path)}')
        if self.manifest['format'] != FORMAT:
            raise BankError(f'{path} has the format {self.manifest["format"]}, expected {FORMAT}. Make it again.')
        for name, facts in self.manifest['files'].items():
            size = (path / name).stat().st_size if (path / name).is_file() else None
            if size != facts['bytes']:
                raise BankError(
                    f'{path / name} is {"missing" if size is None else f"{size} bytes long"}, expected '
                    f'{facts["bytes"]} bytes. {_CURE.format(path)}'
                )
            if name != DATA:
                self._verify(name)
        self.index: NDArray[Any] = np.load(path / INDEX, allow_pickle=False)
        self.images: list[str] = read_json(path / IMAGES)
        empty = self.manifest['files'][DATA]['bytes'] == 0
        self._data = np.zeros(0, np.uint8) if empty else np.memmap(path / DATA, np.uint8, 'r')

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, number: int) -> BankObject:
        """The object; its values are a read-only view of the file.

        Raises:
            BankError: its bytes have changed.
        """
        row = self.index[number]
        points = self.manifest['modality'] == 'points'
        shape = tuple(row['shape'].tolist())[: 2 if points else 3]
        dtype = np.dtype(self.manifest['dtype'])
        start, size = int(row['offset']), int(np.prod(shape)) * dtype.itemsize
        bits = -(-shape[0] * shape[1] // 8) if row['masked'] else 0
        block = self._data[start : start + size + bits]
        if zlib.crc32(block) != row['crc']:
            raise BankError(f'{self.path / DATA}: object {number} is damaged (CRC). {_CURE.format(self.path)}')
        mask = None
        if bits:
            mask = np.unpackbits(block[size:], count=shape[0] * shape[1]).reshape(shape[:2]).view(bool)
        return BankObject(
            values=np.asarray(block[:size]).view(dtype).reshape(shape), klass=int(row['klass']),
            image=self.images[row['image']], box=tuple(row['box'].tolist())[: 7 if points else 4],
            score=float(row['score']), source=SOURCES[row['source']], mask=mask,
            window=(int(row['window'][0]), int(row['window'][1])),
        )  # fmt: skip

    def verify(self) -> None:
        """Compare the SHA-256 of every file.

        Raises:
            BankError: a file has changed.
        """
        for name in self.manifest['files']:
            self._verify(name)

    def _verify(self, name: str) -> None:
        if _facts(self.path / name) != self.manifest['files'][name]:
            raise BankError(f'{self.path / name} has changed since it was written. {_CURE.format(self.path)}')


_CURE = 'It was cut off or altered: remove {} and make it again.'


def read_json(path: Path) -> Any:
    """The content of a JSON file of a bank.

    Raises:
        BankError: it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise BankError(f'{path} is missing. {_CURE.format(path.parent)}') from error
    except (OSError, ValueError) as error:
        raise BankError(f'{path} cannot be read ({error}). {_CURE.format(path.parent)}') from error


def _append(handle: BinaryIO, item: BankObject, image: int) -> tuple[Any, ...]:
    """Write one object at the next aligned place and return its row."""
    handle.write(b'\0' * (-handle.tell() % _ALIGN))
    offset = handle.tell()
    values = np.ascontiguousarray(item.values, item.values.dtype.newbyteorder('<'))
    block = values.tobytes() + (b'' if item.mask is None else np.packbits(item.mask).tobytes())
    handle.write(block)
    shape = (*item.values.shape, 0)[:3]
    box = (*item.box, 0.0, 0.0, 0.0)[:7]
    return (offset, zlib.crc32(block), item.klass, item.score, SOURCES.index(item.source), item.mask is not None,
            image, shape, item.window, box, item.identity())  # fmt: skip


def _checksum(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of all that a manifest says but this."""
    rest = {key: value for key, value in manifest.items() if key != 'checksum'}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _facts(path: Path) -> Mapping[str, Any]:
    """Size and SHA-256 of a file."""
    with open(path, 'rb') as handle:
        digest = hashlib.sha256()
        while block := handle.read(1 << 20):
            digest.update(block)
    return {'bytes': path.stat().st_size, 'sha256': digest.hexdigest()}


def _rename(temporary: Path, target: Path) -> None:
    """Rename a folder; somebody else's complete folder of that name wins."""
    try:
        os.rename(temporary, target)
    except OSError as error:
        if not (target / MANIFEST).is_file():
            words = f'cannot write {target}: {error.strerror or error}. Remove what lies there.'
            raise FileWriteError(words) from error


def _umask() -> int:
    """The process's umask, which mkdtemp ignores."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
