"""A folder that appears whole or not at all, and one process at a time that works on it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from imbdense.utils.files import FileWriteError


@contextlib.contextmanager
def exclusive(folder: Path, work: str = 'is generating into') -> Iterator[int]:
    """Hold the lock of ``folder`` (made if absent). The system frees it when the process ends, however it ends.

    Yields the descriptor of the lock: a child that inherits it holds the lock on when its parent is killed.

    Raises:
        FileWriteError: the folder cannot be made, or another process holds the lock.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise FileWriteError(f'cannot use {folder}: {error.strerror or error}. Choose a folder you may write to.'
                             ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FileWriteError(f'another process {work} {folder}; wait for it or choose another folder.'
                                 ) from error
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yield an empty work folder beside ``target`` that is renamed to ``target`` when the block ends without an error.

    What an interrupted run left in the work folder is removed first; an older ``target`` is replaced. Disk-full and
    permission errors name the folder.
    """
    work = target.parent / f'.{target.name}.partial'
    with exclusive(work):
        try:
            for entry in work.iterdir():
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
            yield work
            if target.exists():
                shutil.rmtree(target)
            os.replace(work, target)
        except FileWriteError:
            raise
        except OSError as error:
            raise FileWriteError(f'cannot write the scene {target}: {error.strerror or error}. Free some space or '
                                 f'choose a folder you may write to, then run the same command again.') from error
