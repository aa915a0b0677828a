"""Votes of finished blocks on disk: one file per block that is whole or absent, summed cell by cell at the end."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.data.points.tiles.buckets import PointBuckets
from imbdense.data.points.tiles.lattice import Block, BlockLattice, Cell
from imbdense.utils.files import atomic_write_bytes

SCALE = 65535
"""Probabilities are kept as round(p · 65535): whole numbers, whose sums are the same in any order."""
KEPT = 16
"""Blocks in memory while cells are summed; neighbours share them."""
Votes = tuple[NDArray[np.int64], NDArray[np.uint16]]


class VoteStore:
    """A folder with the votes of every finished block.

    Args:
        folder: made if needed. classes: C.
    """

    def __init__(self, folder: Path, classes: int) -> None:
        self.folder, self.classes = folder, classes
        self._kept: OrderedDict[Block, Votes] = OrderedDict()

    def path(self, block: Block) -> Path:
        """File of a block."""
        return self.folder / f'{block[0]}_{block[1]}.npz'

    def unfinished(self, blocks: Sequence[Block]) -> list[Block]:
        """Those of ``blocks`` without a file."""
        there = {path.name for path in self.folder.glob('*.npz')}
        return [block for block in blocks if self.path(block).name not in there]

    def write(self, block: Block, places: NDArray[np.int64], probabilities: NDArray[np.float32]) -> None:
        """Store what a block says.

        Args:
            places: (n,) ascending records of :class:`PointBuckets`. probabilities: (n, C) in [0, 1].

        Raises:
            ValueError: probabilities that are NaN or of another shape.
        """
        if probabilities.shape != (len(places), self.classes):
            raise ValueError(f'block {block}: expected probabilities ({len(places)}, {self.classes}), but got '
                             f'{probabilities.shape}.')
        if not np.isfinite(probabilities).all():
            raise ValueError(f'the network gives NaN for points of block {block}; was its training stable, and do the '
                             f'attributes have the range they had in training?')
        stream = io.BytesIO()
        votes = np.rint(np.clip(probabilities, 0, 1) * np.float32(SCALE)).astype(np.uint16)
        np.savez(stream, places=places, votes=votes)
        atomic_write_bytes(self.path(block), stream.getvalue())

    def read(self, block: Block) -> Votes:
        """What a block said; nothing where it was never asked."""
        if block not in self._kept:
            if len(self._kept) >= KEPT:
                self._kept.popitem(last=False)
            self._kept[block] = self._load(block)
        self._kept.move_to_end(block)
        return self._kept[block]

    def mean(self, buckets: PointBuckets, lattice: BlockLattice, cell: Cell) -> NDArray[np.float64]:
        """Mean probability (n, C) of the points of a cell over all blocks that voted on them.

        Raises:
            ValueError: a point without a vote (a file of a block was removed).
        """
        ((first, end),) = buckets.spans([cell])
        total = np.zeros((end - first, self.classes), np.int64)
        number = np.zeros(end - first, np.int64)
        for block in lattice.voters(cell):
            places, votes = self.read(block)
            low, high = np.searchsorted(places, (first, end))
            total[places[low:high] - first] += votes[low:high]
            number[places[low:high] - first] += 1
        if (number == 0).any():
            raise ValueError(f'{int((number == 0).sum())} points of cell {cell} have no vote: were files removed from '
                             f'{self.folder}? Remove the folder and start anew.')
        mean: NDArray[np.float64] = total / (number[:, None] * float(SCALE))
        return mean

    def _load(self, block: Block) -> Votes:
        path = self.path(block)
        if not path.is_file():
            return np.zeros(0, np.int64), np.zeros((0, self.classes), np.uint16)
        with np.load(path, allow_pickle=False) as stored:
            return stored['places'], stored['votes']
