"""Where scan results are kept: beside the labels if possible, else in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from imbdense.data.scan.records import LabelRecords
from imbdense.utils.files import FileWriteError, atomic_open

logger = logging.getLogger('imbdense')

FOLDER = '.imbdense'


class ScanCache:
    """The records of one label folder and one set of settings.

    Files: ``labels-<key>.npz`` (all records, sorted by name) and, while a scan runs, ``labels-<key>.part/*.npz``
    (what was counted so far, so that a killed scan goes on where it stopped). All appear by rename, so a reader never
    sees half a file. Nothing here raises because of the disk: a cache that cannot be written is a warning.

    Args:
        root: the label folder.
        key: of the settings.
    """

    def __init__(self, root: str, key: str) -> None:
        self.folder = writable_folder(root)
        self.file = None if self.folder is None else self.folder / f'labels-{key}.npz'
        self.parts = None if self.folder is None else self.folder / f'labels-{key}.part'
        self._written: list[Path] = []
        self._failed = False

    def load(self) -> LabelRecords:
        """Records of earlier scans; none when there is no cache or it is damaged (which is a warning)."""
        return LabelRecords.empty() if self.file is None else _load(self.file) or LabelRecords.empty()

    def load_parts(self) -> list[LabelRecords]:
        """Records of scans that did not end."""
        if self.parts is None or not self.parts.is_dir():
            return []
        self._written = sorted(self.parts.glob('*.npz'))
        return [records for path in self._written if (records := _load(path)) is not None]

    def add_part(self, records: LabelRecords) -> None:
        """Keep what was counted so far."""
        if self.parts is None or self._failed:
            return
        path = self.parts / f'{os.getpid()}-{len(self._written):06d}.npz'
        if self._save(path, records):
            self._written.append(path)

    def save(self, records: LabelRecords) -> bool:
        """Replace the cache and remove the parts; False when it could not be written."""
        if self.file is None or not self._save(self.file, records):
            return False
        if self.parts is not None:
            # The whole folder: a killed scan can have left a temporary file beside its finished parts.
            shutil.rmtree(self.parts, ignore_errors=True)
        return True

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Let one process scan while others wait and then find its result; released by the system when it dies.

        Where files cannot be locked (some network file systems) nobody waits: both scan, and the last rename wins.
        """
        if self.file is None:
            yield
            return
        with contextlib.ExitStack() as stack:
            try:
                import fcntl

                handle = stack.enter_context(open(self.file.with_suffix('.lock'), 'wb'))
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    logger.info('another process scans these labels; waiting for its result (%s)', self.file)
                    fcntl.flock(handle, fcntl.LOCK_EX)
            except (ImportError, OSError):
                pass
            yield

    def _save(self, path: Path, records: LabelRecords) -> bool:
        """Write records; the first failure is a warning, later ones are silent."""
        try:
            with atomic_open(path) as handle:
                records.save(handle)
        except FileWriteError as error:
            if not self._failed:
                logger.warning('the scan goes on without a cache: %s', error)
            self._failed = True
            return False
        return True


def user_cache_dir() -> Path:
    """``$XDG_CACHE_HOME/imbdense``, by default ``~/.cache/imbdense``."""
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'imbdense'


def writable_folder(root: str) -> Path | None:
    """The first folder a file can be made in: beside the labels, the user's cache; None if neither."""
    digest = hashlib.sha256(os.path.abspath(root).encode('utf-8', 'surrogateescape')).hexdigest()[:12]
    here = Path(root) / FOLDER
    choices = [here] if len(Path(os.path.abspath(root)).parts) > 2 else []  # never litter / or /home
    with contextlib.suppress(RuntimeError):
        choices.append(user_cache_dir() / f'{Path(root).name}-{digest}')
    for folder in choices:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    logger.warning('neither %s nor %s can be written; the labels are counted without a cache', here, user_cache_dir())
    return None


def _load(path: Path) -> LabelRecords | None:
    """Records of one file; damaged ones are left out with a warning."""
    try:
        return LabelRecords.load(str(path))
    except ValueError as error:
        if path.exists():
            logger.warning('%s is damaged (%s); these labels are counted again', path, error)
        return None
