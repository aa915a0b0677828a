"""A folder with what a model said about every image of a data set.

``outputs.json`` says what was run on what; ``shard_00000.npz``, ... hold the arrays of a few images each, in the order
of the data set. Every file appears by rename, so a shard is whole or absent: a broken run goes on with the shards that
are missing, and several processes may write different shards of one folder.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.utils.files import atomic_write_bytes, atomic_write_json

FORMAT = 1
MANIFEST = 'outputs.json'
Arrays = Mapping[str, NDArray[Any]]


class OutputsError(ValueError):
    """A folder of saved outputs is not usable; the message names it and says what to do."""


class OutputStore:
    """Saved outputs in a folder.

    Args:
        folder: where they are.
        manifest: what was run: ``identity`` (a dict that must be equal for runs that share the folder),
            ``num_images``, ``shard_size`` and whatever a reader needs. JSON types only.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def create(cls, folder: str | os.PathLike[str], manifest: Mapping[str, Any]) -> OutputStore:
        """Start or go on with a folder.

        Raises:
            OutputsError: it holds outputs of another model, data set or setting (the differences are named), or is
                not empty and holds none.
        """
        path = Path(folder)
        wanted = json.loads(json.dumps({'format': FORMAT, **manifest}))
        # Another process may be starting the same folder: list first, then look for the manifest, which comes before
        # any shard. Hidden names are files that are just being written.
        names = [entry.name for entry in path.iterdir() if entry.name[0] != '.'] if path.is_dir() else []
        if (path / MANIFEST).exists():
            present = cls.open(path).manifest
            before, now = present['identity'], wanted['identity']
            other = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
            if other:
                words = ', '.join(f'{key} ({before.get(key)} there, {now.get(key)} now)' for key in other)
                raise OutputsError(
                    f'{path} holds outputs of something else: {words}. Choose another folder with --outputs, or '
                    f'remove this one.'
                )
            return cls(path, present)
        if names:
            raise OutputsError(f'{path} is not empty and holds no saved outputs. Choose another folder with --outputs.')
        atomic_write_json(path / MANIFEST, wanted)
        return cls(path, wanted)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> OutputStore:
        """Read a folder; it may still miss shards, see :meth:`missing`.

        Raises:
            OutputsError: there is no manifest, or it is broken or of another format.
        """
        path = Path(folder)
        try:
            manifest = json.loads((path / MANIFEST).read_text(encoding='utf-8'))
        except FileNotFoundError:
            raise OutputsError(
                f'{path} holds no saved outputs ({MANIFEST} is missing). `imbdense calibrate CONFIG CKPT` and '
                f'`imbdense diagnose CONFIG CKPT` write them.'
            ) from None
        except (OSError, ValueError) as error:
            raise OutputsError(f'{path / MANIFEST} cannot be read ({error}). Remove {path} and save again.') from error
        if not isinstance(manifest, dict) or manifest.get('format') != FORMAT:
            found = manifest.get('format') if isinstance(manifest, dict) else None
            raise OutputsError(f'{path} has the format {found}, expected {FORMAT}. Remove it and save again.')
        return cls(path, manifest)

    @property
    def num_images(self) -> int:
        """Images of the data set that are saved when it is complete."""
        return int(self.manifest['num_images'])

    @property
    def num_shards(self) -> int:
        """Shards when it is complete."""
        return -(-self.num_images // int(self.manifest['shard_size']))

    def images_of(self, shard: int) -> range:
        """The image indices of a shard."""
        size = int(self.manifest['shard_size'])
        return range(shard * size, min((shard + 1) * size, self.num_images))

    def missing(self) -> list[int]:
        """Shards that are not written yet."""
        return [shard for shard in range(self.num_shards) if not self._file(shard).is_file()]

    def write(self, shard: int, records: Sequence[Arrays]) -> None:
        """Write a shard: one mapping of named arrays per image. Equal records give equal bytes.

        Raises:
            ValueError: the number of records is not that of the shard. FileWriteError: the disk.
        """
        images = self.images_of(shard)
        if len(records) != len(images):
            raise ValueError(f'shard {shard} holds {len(images)} images, but {len(records)} records came.')
        named = {f'{index}/{key}': array for index, record in zip(images, records) for key, array in record.items()}
        stream = io.BytesIO()
        np.savez(stream, **named)  # type: ignore[arg-type]
        atomic_write_bytes(self._file(shard), stream.getvalue())

    def records(self) -> Iterator[dict[str, NDArray[Any]]]:
        """The arrays of every image, in the order of the data set; one shard is in memory at a time.

        Raises:
            OutputsError: shards are missing, damaged, or there is no image at all.
        """
        absent = self.missing()
        if absent or self.num_images == 0:
            what = 'no image' if self.num_images == 0 else f'{len(absent)} of {self.num_shards} shards missing'
            raise OutputsError(
                f'{self.folder} is incomplete: {what}. Run the command that saves it again; it goes on where it '
                f'stopped.'
            )
        for shard in range(self.num_shards):
            yield from self._read(shard)

    def _read(self, shard: int) -> list[dict[str, NDArray[Any]]]:
        """The records of one shard."""
        file = self._file(shard)
        try:
            with np.load(file, allow_pickle=False) as content:
                found: dict[int, dict[str, NDArray[Any]]] = {index: {} for index in self.images_of(shard)}
                for name in content.files:
                    index, key = name.split('/', 1)
                    found[int(index)][key] = content[name]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise OutputsError(f'{file} is damaged ({error}). Remove this file and save again.') from error
        return [found[index] for index in self.images_of(shard)]

    def _file(self, shard: int) -> Path:
        """Where a shard is."""
        return self.folder / f'shard_{shard:05d}.npz'
