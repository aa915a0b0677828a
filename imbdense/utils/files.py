"""Files that are either whole or absent: write to a temporary name in the same folder, then rename."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO


class FileWriteError(OSError):
    """A file could not be written; the message names it and says what to do."""


@contextlib.contextmanager
def atomic_open(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Yield a binary handle whose content appears under ``path`` only when the block ends without an error.

    What was written can be read back through the handle.

    The temporary file lies beside ``path`` (a rename across file systems would not be atomic), is flushed to disk
    before the rename and removed when the block raises. Two processes that write the same path both succeed; the
    last rename wins and readers always see one whole version.

    Raises:
        FileWriteError: the folder cannot be made or written, or the disk is full.
    """
    target = Path(path)
    temporary: str | None = None
    try:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(prefix=f'.{target.name}.tmp-', dir=target.parent)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes files private; results are meant to be shared
            with os.fdopen(descriptor, 'w+b') as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(temporary, target)
            temporary = None
        except FileWriteError:
            raise
        except OSError as error:
            raise FileWriteError(
                f'cannot write {target}: {error.strerror or error}. Free some space, or choose a folder you may '
                f'write to; nothing was changed.'
            ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def atomic_write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write ``data`` to ``path`` atomically; see :func:`atomic_open`."""
    with atomic_open(path) as handle:
        handle.write(data)


def atomic_write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` (UTF-8) to ``path`` atomically; see :func:`atomic_open`."""
    atomic_write_bytes(path, text.encode('utf-8'))


def atomic_write_json(path: str | os.PathLike[str], value: Any, *, indent: int | None = 1) -> None:
    """Write ``value`` as JSON atomically. NaN is refused (not valid JSON): use ``None`` for "undefined"."""
    atomic_write_text(path, json.dumps(value, indent=indent, allow_nan=False) + '\n')
