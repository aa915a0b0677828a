"""Kinds of change from the land cover of two dates: into what, from what into what, or by a table of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.core.metrics.alpine_transitions import KINDS, alpine_transition_lut
from imbdense.data.change.labels import IGNORE, transition_ids

MOST_KINDS = 254


@dataclass(frozen=True)
class KindTable:
    """``names`` of the kinds, 0 = unchanged; ``table`` (S, S) the kind of a change, by land cover before (row) and
    after; 255 = this transition is ignored."""

    names: tuple[str, ...]
    table: NDArray[np.int64]

    def kinds(self, change: NDArray[np.integer], covers: Sequence[NDArray[np.integer]]) -> NDArray[np.uint8]:
        """Kinds (H, W) of a pair: 0 where the change map is 0, 255 where it is 255 or a changed pixel's land cover is
        not known at both dates.

        Args:
            change: 0, 255, anything else changed. covers: land cover of the first and the last date, 255 = unknown.
        """
        ids = transition_ids(change, covers, len(self.table))
        lookup = np.append(self.table.ravel(), [IGNORE, 0]).astype(np.uint8)  # ids -2 and -1: ignored and unchanged
        found: NDArray[np.uint8] = lookup[ids]
        return found


def kind_table(by: str, land_cover: Sequence[str], occurring: Sequence[int] = (), names: Sequence[str] = ()
               ) -> KindTable:
    """Return the kinds of a rule.

    * ``to``: what a pixel became;
    * ``from_to``: from what into what: the long tail itself;
    * ``alpine`` or a CSV file: see :func:`read_lut`; ``names`` of its kinds from 0 on, default ``kind 1``, ...

    Of the first two only kinds that occur are classes.

    Args:
        occurring: transitions that occur, ids S * before + after.

    Raises:
        ValueError: no kind occurs, more than 254 do, names that do not fit, or a faulty file.
    """
    size = len(land_cover)
    if by in ('to', 'from_to'):
        keys = [k % size if by == 'to' else k for k in occurring]
        kinds = sorted(set(keys))
        if not 0 < len(kinds) <= MOST_KINDS:
            raise ValueError(f'{len(kinds)} kinds of change occur; they can be 1 to {MOST_KINDS}. Use a table (CSV) '
                             f'that groups them.')
        table = np.full(size * size, IGNORE)
        table[list(occurring)] = [1 + kinds.index(key) for key in keys]
        told = [f'to {land_cover[k]}' if by == 'to' else f'{land_cover[k // size]} -> {land_cover[k % size]}'
                for k in kinds]
        return KindTable(('unchanged', *told), table.reshape(size, size))
    if by != 'alpine' and not Path(by).is_file():
        raise ValueError(f"{by!r} is no rule of kinds: expected 'to', 'from_to', 'alpine', or a CSV file that is "
                         f'there.')
    lut = read_lut(by, size)
    count = int(lut.max()) + 1
    known = tuple(names) or (KINDS if by == 'alpine' else ('unchanged', *(f'kind {k}' for k in range(1, count))))
    if len(known) < count:
        raise ValueError(f'{by} has the kinds 0 to {count - 1}, but names are {list(known)}.')
    return KindTable(known, lut)


def check_lut(source: str) -> str:
    """Return ``source`` if it is ``'alpine'`` or a file that is there; else ``ValueError``."""
    if source != 'alpine' and not Path(source).is_file():
        raise ValueError(f"lut {source}: there is no such file; expected 'alpine' or a CSV file of kinds.")
    return source


def _read_table(source: str) -> NDArray[np.int64]:
    """The whole numbers of a CSV file."""
    try:
        return np.loadtxt(source, delimiter=',', dtype=np.int64, ndmin=2)
    except (OSError, ValueError) as error:
        raise ValueError(f'lut {source}: expected rows of whole numbers with commas between them, without a header '
                         f'({error}).') from error


def read_lut(source: str, size: int) -> NDArray[np.int64]:
    """Kinds of change int64 (S, S) from a CSV file or ``'alpine'``.

    Raises:
        ValueError: no such file, no whole numbers, another shape, or values below 0 or above 254; the message names the
            file.
    """
    if source == 'alpine':
        table = alpine_transition_lut().astype(np.int64)
    else:
        table = _read_table(check_lut(source))
    if table.shape == (size + 1, size + 1):
        table = table[1:, 1:]
    if table.shape != (size, size):
        raise ValueError(f'lut {source}: expected {size} x {size} kinds, one per pair of classes, got {table.shape}.')
    if table.min() < 0 or table.max() >= IGNORE:
        raise ValueError(f'lut {source}: kinds must be 0 to 254, but reach from {table.min()} to {table.max()}.')
    return table
