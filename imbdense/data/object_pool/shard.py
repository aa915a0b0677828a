"""The shard of one process: an append-only log of images, and a bitmap that says which are in it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from imbdense.data.object_pool.layout import PoolError
from imbdense.data.object_pool.records import HEADER, Header, PoolImage, pack, read_header, unpack
from imbdense.utils.files import FileWriteError

LOG, BITMAP = 'images.bin', 'done.bitmap'
COMMIT_EVERY = 1.0
"""Seconds."""


class Shard:
    """Images that one process has finished, in the order it made them.

    ``images.bin`` holds one record per image, ``done.bitmap`` one bit per image of the pool. A record is handed to the
    system at once, so a process that is killed loses the image it was at; once a second both files are forced to the
    disk, the bits after the records, so that a machine that stops loses a second. The next process takes what is
    complete, cuts off the rest and goes on. An image that failed is not done: it may be added again.

    Args:
        folder: of the shard. images: M, of the pool.

    Raises:
        PoolError: the log lacks images that the bitmap names.
    """

    def __init__(self, folder: Path, images: int) -> None:
        self.folder, self.images = folder, images
        self.places: dict[int, tuple[int, Header]] = {}
        self._end, self._committed = 0, 0.0
        self._handles: tuple[FileIO, FileIO] | None = None
        self._scan(self._bitmap())
        self.done = np.zeros(images, bool)
        self.done[[image for image, (_, header) in self.places.items() if not header.failed]] = True

    def append(self, image: int, content: PoolImage | str) -> None:
        """Add an image, or the reason why it failed.

        Raises:
            ValueError: the arrays do not fit together, or the image is there already and has not failed.
            FileWriteError: the disk.
        """
        if self.done[image]:
            raise ValueError(f'{self.folder} holds image {image} already.')
        data = pack(image, content)
        header = read_header(data)
        if header is None:
            raise ValueError(f'image {image} cannot be recorded.')
        with self._told():
            log, _ = self._open()
            _write(log, self._end, data)
            self.places[image], self.done[image] = (self._end, header), not header.failed
            self._end += len(data)
            if time.monotonic() - self._committed > COMMIT_EVERY:
                self.commit()

    def commit(self) -> None:
        """Force what was appended to the disk, then the bits that say so.

        Raises:
            FileWriteError: the disk.
        """
        if self._handles is not None:
            log, bitmap = self._handles
            with self._told():
                os.fsync(log.fileno())
                _write(bitmap, 0, np.packbits(self.done, bitorder='little').tobytes())
                os.fsync(bitmap.fileno())
            self._committed = time.monotonic()

    def read(self, image: int) -> PoolImage | str:
        """An image of the shard, or the reason why it failed.

        Raises:
            PoolError: its bytes have changed.
        """
        start, header = self.places[image]
        with open(self.folder / LOG, 'rb') as stream:
            stream.seek(start)
            return unpack(stream.read(HEADER.size + header.size), f'{self.folder / LOG}: image {image}')

    def close(self) -> None:
        """Commit and close the files.

        Raises:
            FileWriteError: the disk; the files are closed all the same.
        """
        try:
            self.commit()
        finally:
            for handle in self._handles or ():
                handle.close()
            self._handles = None

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """A disk that is full, as the one error that says what to do."""
        try:
            yield
        except FileWriteError:
            raise
        except OSError as error:
            raise FileWriteError(
                f'cannot write {self.folder}: {error.strerror or error}. Free some space and run the same command '
                f'again; finished images are kept.'
            ) from error

    def _open(self) -> tuple[FileIO, FileIO]:
        """Both files, open for writing; what a killed process left behind the last whole record is cut off."""
        if self._handles is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name in (LOG, BITMAP):
                (self.folder / name).touch()
            # Without a buffer: what a full disk has refused must not be tried again when the file is closed.
            log = open(self.folder / LOG, 'r+b', buffering=0)  # noqa: SIM115 - both are held until close()
            bitmap = open(self.folder / BITMAP, 'r+b', buffering=0)  # noqa: SIM115
            log.truncate(self._end)
            self._handles, self._committed = (log, bitmap), time.monotonic()
        return self._handles

    def _bitmap(self) -> NDArray[np.bool_]:
        """(M,) which images are said to be done."""
        path = self.folder / BITMAP
        data = path.read_bytes() if path.is_file() else b''
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder='little')[: self.images]
        return np.concatenate([bits, np.zeros(self.images - len(bits), np.uint8)]).astype(bool)

    def _scan(self, bits: NDArray[np.bool_]) -> None:
        """Walk over the records of the log, up to the first that is not whole; those without a bit are read."""
        path = self.folder / LOG
        if path.is_file():
            length = path.stat().st_size
            with open(path, 'rb') as stream:
                while (header := read_header(stream.read(HEADER.size))) is not None:
                    end = self._end + HEADER.size + header.size
                    if end > length or not 0 <= header.image < self.images:
                        break
                    if not bits[header.image] and not self._whole(stream, header):
                        break
                    self.places[header.image], self._end = (self._end, header), end
                    stream.seek(end)
        lost = sum(1 for image in np.flatnonzero(bits).tolist() if image not in self.places)
        if lost:
            raise PoolError(f'{path} lacks {lost} images that {BITMAP} names: it was cut off or altered. Remove the '
                            f'folder {self.folder} (its images are made again).')

    def _whole(self, stream: BinaryIO, header: Header) -> bool:
        """Whether the record that begins at the end of what is known agrees with its CRC."""
        stream.seek(self._end)
        try:
            unpack(stream.read(HEADER.size + header.size), str(self.folder))
        except PoolError:
            return False
        return True


def open_shards(work: Path, images: int) -> dict[str, Shard]:
    """All shards of an unfinished pool by name.

    Raises:
        PoolError: a shard is damaged.
    """
    names = sorted(path.name for path in work.glob('shard_*') if path.is_dir())
    return {name: Shard(work / name, images) for name in names}


def _write(handle: FileIO, start: int, data: bytes) -> None:
    """All of ``data`` at ``start``: a system may take a part of it at a time."""
    handle.seek(start)
    rest = memoryview(data)
    while rest:
        rest = rest[handle.write(rest) :]
