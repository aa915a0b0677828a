"""Overlapping square blocks over the plane; their places belong to the coordinate system, not to a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Cell = tuple[int, int]
Block = tuple[int, int]
MOST_CELLS = 500
"""Cells in a row that a block may read; more is a mistake in the sizes, and would fill the memory."""


@dataclass(frozen=True)
class BlockLattice:
    """Blocks of side ``block`` every ``step = block − overlap`` metres in x and y, and cells of side ``step``.

    Block (i, j) is [i·step, i·step + block) × [j·step, j·step + block); points are sorted into cells, so a block reads
    a few whole cells. A block votes on its points that are at least ``halo`` from its border.

    Attributes:
        block: side of a block, metres. overlap: metres that two neighbours share. halo: metres of context at each side;
            at most overlap / 2, so that every point is voted on. margin: metres around a block that are read as well,
            for transforms that look farther than the network.

    Raises:
        ValueError: sizes that do not fit each other.
    """

    block: float
    overlap: float
    halo: float
    margin: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.block < np.inf:
            raise ValueError(f'--block must be above 0 m, but is {self.block:g}.')
        if not 0 <= self.overlap < self.block:
            raise ValueError(f'--overlap must be in [0, {self.block:g}), the block, but is {self.overlap:g} m.')
        if not 0 <= 2 * self.halo <= self.overlap:
            raise ValueError(f'--halo must be in [0, {self.overlap / 2:g}], half of what blocks share, but is '
                             f'{self.halo:g} m; else some points get no vote.')
        if self.margin < 0:
            raise ValueError(f'margin must be at least 0, but is {self.margin:g} m.')
        if self.block + 2 * self.margin > MOST_CELLS * self.step:
            raise ValueError(
                f'blocks of {self.block:g} m every {self.step:g} m, with {self.margin:g} m of surroundings, read more '
                f'than {MOST_CELLS} x {MOST_CELLS} cells each. Take a larger --block, or a smaller --overlap.'
            )

    @property
    def step(self) -> float:
        """Metres from one block to the next."""
        return self.block - self.overlap

    def cells(self, xyz: NDArray[np.float64]) -> NDArray[np.int64]:
        """Cell of every point, (N, 2)."""
        return np.floor(xyz[:, :2] / self.step).astype(np.int64)

    def origin(self, block: Block) -> NDArray[np.float64]:
        """Lower corner of a block (x, y, 0)."""
        return np.array([block[0] * self.step, block[1] * self.step, 0.0])

    def blocks(self, cells: Iterable[Cell]) -> list[Block]:
        """Blocks that may vote on points of ``cells``, in order."""
        reach = self._reach(self.halo)
        found = {(x + dx, y + dy) for x, y in cells for dx in reach for dy in reach}
        return sorted(found)

    def voters(self, cell: Cell) -> list[Block]:
        """Blocks that may vote on points of one cell, in order."""
        return self.blocks([cell])

    def cells_of(self, block: Block) -> list[Cell]:
        """Cells that a block with its margin touches, in order."""
        low = int(np.floor(-self.margin / self.step))
        high = int(np.ceil((self.block + self.margin) / self.step))
        return [(block[0] + dx, block[1] + dy) for dx in range(low, high) for dy in range(low, high)]

    def inside(self, block: Block, xyz: NDArray[np.float64], by: float) -> NDArray[np.bool_]:
        """Which points lie in a block grown by ``by`` metres at each side (negative: shrunk)."""
        local = xyz[:, :2] - self.origin(block)[:2]
        return ((local >= -by) & (local < self.block + by)).all(axis=1)

    def _reach(self, halo: float) -> range:
        """Steps from a cell to the blocks whose voting part [halo, block − halo) meets it."""
        return range(-int(np.ceil((self.block - halo) / self.step)) + 1, 1)
