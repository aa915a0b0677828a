"""A bank of cut-out objects on disk, for pasting them into other images."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_choice, check_integer
from imbdense.data.instance_bank.folder import FORMAT, ObjectFolder, read_json
from imbdense.data.instance_bank.objects import MODALITIES, BankError, BankObject, Modality
from imbdense.data.instance_bank.writer import RoundWriter, check_identity
from imbdense.utils.files import atomic_write_json

SPEC = 'bank.json'
Rounds = Literal['union', 'latest', 'first']
ROUNDS: tuple[Rounds, ...] = get_args(Rounds)
_NAME = re.compile(r'round_(\d{4,})')


class InstanceBank:
    """Crops with masks, or points, by class: a folder that is written in rounds and read memory-mapped.

    Layout: ``bank.json`` (modality, classes, capacity, seed), ``round_0000/``, ``round_0001/``, ... (see
    :mod:`.folder`). A round is visible only when it is complete. Ground truth is one round; pseudo-labels add one each
    time they are made. The bytes depend on the objects alone, not on how many processes wrote them.

    Reading holds the index in memory (about 130 bytes per object); crops are views of the file. Pickling drops the
    views and opens the folder anew, so that a worker process maps it once.

    Make one with :meth:`create` or :meth:`open`.
    """

    def __init__(self, folder: Path, spec: Mapping[str, Any], rounds: Rounds, last: int | None) -> None:
        self.folder, self.spec = folder, dict(spec)
        self._rounds, self._last = rounds, last
        numbers = [number for number in finished_rounds(folder) if last is None or number <= last]
        self.rounds = {'union': numbers, 'latest': numbers[-1:], 'first': numbers[:1]}[rounds]
        self._parts = [ObjectFolder(folder / f'round_{number:04d}') for number in self.rounds]
        kinds = {(part.manifest['dtype'], part.manifest['channels']) for part in self._parts if len(part)}
        if len(kinds) > 1:
            raise BankError(f'{folder}: the rounds {self.rounds} differ in number type or bands: {sorted(kinds)}.')
        self.dtype, self.channels = next(((np.dtype(kind[0]), int(kind[1])) for kind in kinds), (None, None))
        self._start = np.cumsum([0, *map(len, self._parts)])
        klass = [part.index['klass'] for part in self._parts]
        self.klass: NDArray[np.int64] = np.concatenate([np.zeros(0, np.int64), *klass]).astype(np.int64)
        order = np.argsort(self.klass, kind='stable')
        self._members = np.split(order, np.searchsorted(self.klass[order], np.arange(1, len(self.classes))))

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        classes: Sequence[str],
        modality: Modality = 'image',
        capacity_per_class: int = 1000,
        seed: int = 0,
    ) -> InstanceBank:
        """Start a bank, or open one that was started with the same arguments.

        Args:
            folder: made if needed.
            classes: C names.
            modality: ``'image'`` or ``'points'``.
            capacity_per_class: most objects of a class in one round.
            seed: decides among equal scores when a class has more.

        Raises:
            BankError: the folder holds another bank (the differences are named) or other files.
            ValueError: an argument out of range.
        """
        path = Path(folder)
        spec = {
            'format': FORMAT,
            'modality': check_choice('modality', modality, MODALITIES, owner='InstanceBank'),
            'classes': [str(name) for name in classes],
            'capacity_per_class': check_integer('capacity_per_class', capacity_per_class, low=1, owner='InstanceBank'),
            'seed': check_integer('seed', seed, owner='InstanceBank'),
        }
        if not spec['classes']:
            raise ValueError('InstanceBank: classes is empty; give the class names.')
        names = [entry.name for entry in path.iterdir() if entry.name[0] != '.'] if path.is_dir() else []
        if (path / SPEC).is_file():
            present = read_json(path / SPEC)
            other = [key for key in spec if present.get(key) != spec[key]]
            if other:
                words = ', '.join(f'{key} ({present.get(key)} there, {spec[key]} now)' for key in other)
                raise BankError(f'{path} holds another instance bank: {words}. Choose another folder or remove it.')
        elif names:
            raise BankError(f'{path} is not empty and holds no instance bank. Choose another folder.')
        else:
            atomic_write_json(path / SPEC, spec)
        return cls(path, spec, 'union', None)

    @classmethod
    def open(
        cls, folder: str | os.PathLike[str], rounds: Rounds = 'union', last: int | None = None
    ) -> InstanceBank:
        """Open a bank for reading.

        Args:
            folder: of the bank.
            rounds: ``'union'`` of all rounds, the ``'latest'`` or the ``'first'``.
            last: leave out rounds after this number, so that a resumed run sees what it saw before.

        Raises:
            BankError: there is no bank, a file is truncated or altered, or rounds do not fit together.
        """
        check_choice('rounds', rounds, ROUNDS, owner='InstanceBank')
        path = Path(folder)
        if not (path / SPEC).is_file():
            raise BankError(f'{path} holds no instance bank. Make one: `imbdense generate bank CONFIG --out {path}`.')
        spec = read_json(path / SPEC)
        if not isinstance(spec, dict) or spec.get('format') != FORMAT:
            raise BankError(f'{path / SPEC} is no bank of format {FORMAT}. Make the bank again.')
        return cls(path, spec, rounds, last)

    @property
    def classes(self) -> tuple[str, ...]:
        """C class names."""
        return tuple(self.spec['classes'])

    @property
    def modality(self) -> Modality:
        """``'image'`` or ``'points'``."""
        return self.spec['modality']

    @property
    def counts(self) -> NDArray[np.int64]:
        """(C,) objects per class in the opened rounds."""
        return np.bincount(self.klass, minlength=len(self.classes)).astype(np.int64)

    @property
    def checksum(self) -> str:
        """SHA-256 of the bank's specification and of the manifests of the opened rounds, which hold those of the files.

        Equal for equal content, whichever processes wrote it; what a checkpoint remembers of the bank.
        """
        digest = hashlib.sha256(repr(sorted(self.spec.items())).encode())
        for number, part in zip(self.rounds, self._parts):
            digest.update(f'{number} {part.manifest["checksum"]}\n'.encode())
        return digest.hexdigest()

    def __len__(self) -> int:
        """Objects in the opened rounds."""
        return len(self.klass)

    def __getitem__(self, number: int) -> BankObject:
        """One object; its values are a read-only view of the file.

        Raises:
            IndexError: no such object. BankError: its bytes are damaged.
        """
        if not 0 <= number < len(self):
            raise IndexError(f'{self.folder}: there is no object {number}; it has {len(self)}.')
        part = int(np.searchsorted(self._start, number, side='right')) - 1
        return self._parts[part][number - int(self._start[part])]

    def members(self, klass: int) -> NDArray[np.int64]:
        """The numbers of the objects of a class, ascending; empty when there is none."""
        return self._members[klass]

    def verify(self) -> None:
        """Read everything and compare the checksums.

        Raises:
            BankError: a file has changed.
        """
        for part in self._parts:
            part.verify()

    def start_round(self, identity: Mapping[str, Any], number: int | None = None) -> RoundWriter:
        """Begin the next round (or ``number``), or go on with it after a crash.

        Args:
            identity: what the round is made from; see :class:`RoundWriter`.
            number: default one more than the last finished round.

        Raises:
            BankError: the round is complete, or was begun with another identity.
        """
        done = finished_rounds(self.folder)
        return RoundWriter(self.folder, done[-1] + 1 if done and number is None else number or 0, self.spec, identity)

    def check_round(self, identity: Mapping[str, Any], number: int) -> None:
        """Raise :class:`BankError` if a finished round was made from something else than ``identity`` tells."""
        check_identity(self.folder / f'round_{number:04d}', identity)

    def reopened(self) -> InstanceBank:
        """The bank with the rounds that are finished now."""
        return InstanceBank(self.folder, self.spec, self._rounds, self._last)

    def __reduce__(self) -> tuple[Any, ...]:
        return InstanceBank, (self.folder, self.spec, self._rounds, self._last)


def finished_rounds(folder: Path) -> list[int]:
    """The numbers of the complete rounds, ascending."""
    found = (_NAME.fullmatch(path.name) for path in folder.iterdir()) if folder.is_dir() else ()
    return sorted(int(match[1]) for match in found if match)
