"""What a scan found, per label file, as compressed rows: the content of the cache."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.data.scan.runs import SIZE_BINS, LabelCounts

FORMAT_VERSION = 2


@dataclass(frozen=True, eq=False)
class LabelRecords:
    """Counts of n label files; file i is a row, its classes are the entries ``entry_ptr[i]:entry_ptr[i + 1]``.

    Attributes:
        paths: n names relative to the label folder, '/' separated.
        stamps: (n, 2) int64, size in bytes and mtime in ns when the file was read.
        shapes: (n, 2) int32, height and width.
        ignored: (n,) int64 ignored pixels.
        entry_ptr (n + 1,), klass (E,) uint8, pixels (E,) int64, regions (E,) int64: per file, classes ascending.
        size_ptr (n + 1,), size_key (S,) int32, size_count (S,) int64: region sizes, key = class * SIZE_BINS + bin.
        invalid_ptr (n + 1,), invalid_value (V,) int64, invalid_count (V,) int64: stored values that are no class.
        position_ptr (E + 1,), positions (P,) uint32: drawn pixels of each entry, y * width + x, ascending.
    """

    paths: tuple[str, ...]
    stamps: NDArray[np.int64]
    shapes: NDArray[np.int32]
    ignored: NDArray[np.int64]
    entry_ptr: NDArray[np.int64]
    klass: NDArray[np.uint8]
    pixels: NDArray[np.int64]
    regions: NDArray[np.int64]
    size_ptr: NDArray[np.int64]
    size_key: NDArray[np.int32]
    size_count: NDArray[np.int64]
    invalid_ptr: NDArray[np.int64]
    invalid_value: NDArray[np.int64]
    invalid_count: NDArray[np.int64]
    position_ptr: NDArray[np.int64]
    positions: NDArray[np.uint32]

    def __len__(self) -> int:
        """n, the number of files."""
        return len(self.paths)

    @classmethod
    def empty(cls) -> LabelRecords:
        """No file."""
        return cls.concat([])

    @classmethod
    def without_labels(cls, number: int) -> LabelRecords:
        """Rows of images that have no label file: no name, no pixels, no class."""
        pointers = {name: np.zeros(number + 1, np.int64) for name in ('entry_ptr', 'size_ptr', 'invalid_ptr')}
        return replace(
            cls.empty(),
            paths=('',) * number,
            stamps=np.zeros((number, 2), np.int64),
            shapes=np.zeros((number, 2), np.int32),
            ignored=np.zeros(number, np.int64),
            **pointers,
        )

    @classmethod
    def of_file(
        cls,
        path: str,
        stamp: tuple[int, int],
        shape: tuple[int, int],
        counts: LabelCounts,
        ignored: int,
        invalid: tuple[NDArray[np.int64], NDArray[np.int64]],
    ) -> LabelRecords:
        """One row."""
        present = counts.present
        regions = np.zeros(present.size, np.int64) if counts.regions is None else counts.regions[present]
        flat = np.zeros(0, np.int64) if counts.sizes is None else counts.sizes.ravel()
        keys = np.flatnonzero(flat)
        return cls(
            (path,),
            np.array([stamp], np.int64),
            np.array([shape], np.int32),
            np.array([ignored], np.int64),
            np.array([0, present.size]),
            present.astype(np.uint8),
            counts.pixels[present],
            regions,
            np.array([0, keys.size]),
            keys.astype(np.int32),
            flat[keys],
            np.array([0, invalid[0].size]),
            invalid[0].astype(np.int64),
            invalid[1].astype(np.int64),
            counts.pointer.astype(np.int64),
            counts.positions.astype(np.uint32),
        )

    @classmethod
    def concat(cls, parts: Sequence[LabelRecords]) -> LabelRecords:
        """All rows of ``parts``, in order."""

        def joined(name: str, dtype: type, width: tuple[int, ...] = ()) -> NDArray:
            arrays = [getattr(part, name) for part in parts]
            return np.concatenate(arrays).astype(dtype, copy=False) if arrays else np.zeros((0, *width), dtype)

        def pointers(name: str) -> NDArray[np.int64]:
            lengths = [np.diff(getattr(part, name)) for part in parts]
            return np.concatenate(
                [np.zeros(1, np.int64), np.cumsum(np.concatenate(lengths) if lengths else [])]
            ).astype(np.int64)

        return cls(
            tuple(path for part in parts for path in part.paths),
            joined('stamps', np.int64, (2,)),
            joined('shapes', np.int32, (2,)),
            joined('ignored', np.int64),
            pointers('entry_ptr'),
            joined('klass', np.uint8),
            joined('pixels', np.int64),
            joined('regions', np.int64),
            pointers('size_ptr'),
            joined('size_key', np.int32),
            joined('size_count', np.int64),
            pointers('invalid_ptr'),
            joined('invalid_value', np.int64),
            joined('invalid_count', np.int64),
            pointers('position_ptr'),
            joined('positions', np.uint32),
        )

    def take(self, rows: ArrayLike) -> LabelRecords:
        """The given rows in the given order (repeats allowed)."""
        chosen = np.asarray(rows, np.int64)
        entry_ptr, entries = take_rows(self.entry_ptr, chosen)
        size_ptr, sizes = take_rows(self.size_ptr, chosen)
        invalid_ptr, invalid = take_rows(self.invalid_ptr, chosen)
        position_ptr, positions = take_rows(self.position_ptr, entries)
        return LabelRecords(
            tuple(self.paths[row] for row in chosen.tolist()),
            self.stamps[chosen],
            self.shapes[chosen],
            self.ignored[chosen],
            entry_ptr,
            self.klass[entries],
            self.pixels[entries],
            self.regions[entries],
            size_ptr,
            self.size_key[sizes],
            self.size_count[sizes],
            invalid_ptr,
            self.invalid_value[invalid],
            self.invalid_count[invalid],
            position_ptr,
            self.positions[positions],
        )

    def save(self, handle: BinaryIO) -> None:
        """Write as npz of two members, the layout as JSON and all bytes; equal records give equal bytes.

        One member per array would cost more to open than a cached scan may take in all.
        """
        text = np.frombuffer('\0'.join(self.paths).encode('utf-8', 'surrogateescape'), np.uint8)
        arrays = {'path_text': text, **{name: getattr(self, name) for name in _array_names()}}
        layout = {'version': _version(len(self)), 'arrays': {k: [v.dtype.str, v.shape] for k, v in arrays.items()}}
        content = b''.join(array.tobytes().ljust(_aligned(array.nbytes), b'\0') for array in arrays.values())
        np.savez(
            handle,
            layout=np.frombuffer(json.dumps(layout).encode(), np.uint8),
            content=np.frombuffer(content, np.uint8),
        )

    @classmethod
    def load(cls, handle: BinaryIO | str) -> LabelRecords:
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: another format, truncated, or parts that do not fit together.
        """
        try:
            with np.load(handle, allow_pickle=False) as data:
                layout = json.loads(data['layout'].tobytes())
                content = data['content']
            arrays: dict[str, NDArray] = {}
            at = 0
            for name, (dtype, shape) in layout['arrays'].items():
                size = math.prod(shape) * np.dtype(dtype).itemsize
                arrays[name] = content[at : at + size].view(dtype).reshape(shape)
                at += _aligned(size)
            text = arrays.pop('path_text').tobytes().decode('utf-8', 'surrogateescape')
            version = layout['version']
        except Exception as error:  # zip, zlib, key and header errors all mean the same here
            raise ValueError(f'not a scan cache ({type(error).__name__}: {error})') from error
        paths = tuple(text.split('\0')) if text else ()
        if version != _version(len(paths)) or set(arrays) != set(_array_names()):
            raise ValueError(f'a scan cache of another format ({version})')
        if arrays['entry_ptr'].size != len(paths) + 1:
            raise ValueError(f'a scan cache whose parts do not fit together ({len(paths)} files)')
        return cls(paths, **arrays)


def _array_names() -> list[str]:
    """The fields that are arrays, in order."""
    return [field.name for field in fields(LabelRecords) if field.name != 'paths']


def _version(files: int) -> list[int]:
    """What a cache must begin with to be understood."""
    return [FORMAT_VERSION, files, SIZE_BINS]


def _aligned(size: int) -> int:
    """The next multiple of eight, so that every array begins where its type may lie."""
    return -(-size // 8) * 8


def take_rows(pointer: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(new pointer, element indices) of the chosen rows of a compressed table."""
    lengths = np.diff(pointer)[rows]
    new = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return new, np.arange(new[-1]) + np.repeat(pointer[rows] - new[:-1], lengths)
