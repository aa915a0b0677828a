"""Write one round of a bank: shards by any number of processes, then one merge that does not depend on them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.instance_bank.folder import MANIFEST, ObjectFolder, read_json, write_folder
from imbdense.data.instance_bank.objects import BankError, BankObject
from imbdense.utils.files import atomic_write_json

IDENTITY = 'identity.json'


class RoundWriter:
    """A round that is being written, in a folder of its own beside the finished ones.

    Every process writes shards under names of its choice (images 0-15, rank 1's third chunk, ...); a shard that is
    there already is kept, so that a killed run goes on with :meth:`has`. One process then calls :meth:`finish`, after
    all shards are written (a barrier). Not collective.

    Canonical merge: objects that are equal in everything count once (padding of distributed samplers); the rest is
    ordered by class, image name, box and content, whatever shard it came from.
    Cap: of a class with more than ``capacity_per_class`` objects those of highest score are kept, equal scores (all of
    ground truth) in a random order that depends only on (seed, object), that is a seeded uniform sample.

    Args:
        folder: of the bank. number: of the round. spec: the content of ``bank.json``.
        identity: what the round is made from (checkpoint, files, settings), JSON types.

    Raises:
        BankError: the round is complete, or was begun with another identity (the differences are named).
    """

    def __init__(self, folder: Path, number: int, spec: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
        self.number, self._spec = number, spec
        self.target = folder / f'round_{number:04d}'
        self.work = folder / f'round_{number:04d}.part'
        if self.target.is_dir():
            shutil.rmtree(self.work, ignore_errors=True)  # killed between the rename and this
            raise BankError(f'{self.target} is complete. Write the next round, or remove this one.')
        self._identity = json.loads(json.dumps(dict(identity)))
        check_identity(self.work, self._identity)
        if not (self.work / IDENTITY).is_file():
            atomic_write_json(self.work / IDENTITY, self._identity)

    def has(self, shard: str) -> bool:
        """Whether a shard is written."""
        return (self._shard(shard) / MANIFEST).is_file()

    def write(self, shard: str, objects: Iterable[BankObject]) -> None:
        """Write a shard (also an empty one); only what the cap can leave is kept.

        Raises:
            ValueError: an object that does not fit into the bank. FileWriteError: the disk.
        """
        if self.has(shard):
            return
        items = list(objects)
        klass = np.array([item.klass for item in items], np.int64)
        score = np.array([item.score for item in items], np.float32)
        kept = self._capped(klass, score, [item.identity() for item in items])
        chosen = (items[number] for number in kept)
        write_folder(self._shard(shard), chosen, self._spec['modality'], len(self._spec['classes']))

    def finish(self) -> None:
        """Merge the shards into the round, which then becomes visible, and remove them.

        Raises:
            BankError: a shard is damaged. ValueError: shards of different number types or band counts.
            FileWriteError: the disk.
        """
        names = sorted(path.name for path in self.work.iterdir() if path.is_dir() and path.name[0] != '.')
        shards = [ObjectFolder(self.work / name) for name in names]
        place = [(number, row) for number, shard in enumerate(shards) for row in range(len(shard))]
        rows = [shards[number].index[row] for number, row in place]
        klass = np.array([row['klass'] for row in rows], np.int64)
        score = np.array([row['score'] for row in rows], np.float32)
        identity = [row['identity'].tobytes() for row in rows]
        kept = self._capped(klass, score, identity)

        def order(entry: int) -> tuple[Any, ...]:
            shard = shards[place[entry][0]]
            row = rows[entry]
            return int(row['klass']), shard.images[row['image']], tuple(row['box'].tolist()), identity[entry]

        def merged() -> Iterator[BankObject]:
            for entry in sorted(kept, key=order):
                shard, row = place[entry]
                yield shards[shard][row]

        for broken in self.target.parent.glob(f'.{self.target.name}.tmp-*'):  # of a merge that was killed
            shutil.rmtree(broken, ignore_errors=True)
        write_folder(
            self.target, merged(), self._spec['modality'], len(self._spec['classes']), {IDENTITY: self._identity}
        )
        shutil.rmtree(self.work, ignore_errors=True)

    def _capped(self, klass: NDArray[np.int64], score: NDArray[np.float32], identity: list[bytes]) -> list[int]:
        """Positions that stay: each identity once, at most ``capacity_per_class`` of a class; in the given order."""
        once = {key: number for number, key in reversed(list(enumerate(identity)))}
        seed = str(self._spec['seed']).encode()
        lot = {number: hashlib.blake2b(key, key=seed, digest_size=8).digest() for key, number in once.items()}
        members: dict[int, list[int]] = {}
        for number in sorted(lot, key=lambda number: (-float(score[number]), lot[number])):
            members.setdefault(int(klass[number]), []).append(number)
        return sorted(number for group in members.values() for number in group[: self._spec['capacity_per_class']])

    def _shard(self, name: str) -> Path:
        """The folder of a shard."""
        if not name or name[0] == '.' or os.sep in name:
            raise ValueError(f'a shard is named by letters and digits, but got {name!r}.')
        return self.work / name


def check_identity(folder: Path, identity: Mapping[str, Any]) -> None:
    """Raise :class:`BankError` if a round, finished or not, was made from something else; names the differences."""
    if not (folder / IDENTITY).is_file():
        return
    wanted, present = json.loads(json.dumps(dict(identity))), read_json(folder / IDENTITY)
    other = [key for key in sorted({*present, *wanted}) if present.get(key) != wanted.get(key)]
    if other:
        words = ', '.join(f'{key} ({present.get(key)} there, {wanted.get(key)} now)' for key in other)
        raise BankError(f'{folder} was made from something else: {words}. Choose another folder, or remove it.')
