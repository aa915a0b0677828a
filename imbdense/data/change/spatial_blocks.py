"""Splits by place: blocks of a raster go to training or validation as a whole, with a strip between them unused.

Tiles drawn at random from one scene leak: a validation tile has training tiles on all sides, whose pixels look like
its own. Blocks that are larger than the reach of that likeness, and a buffer along their borders, keep them apart
(Roberts et al., Cross-validation strategies for data with temporal, spatial, hierarchical, or phylogenetic structure,
Ecography 2017).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.core.checks import check_integer

Window = tuple[int, int, int, int]
"""(row, column, height, width) in pixels."""
DRAWS = 512
"""Random divisions of the blocks that are compared for the best balance."""


@dataclass(frozen=True)
class SpatialBlockSplit:
    """Divide a raster into square blocks, and the blocks among named splits.

    Attributes:
        shares: split -> wanted share of the blocks (or of what :meth:`divide` balances), made to sum to one.
        block: side of a block in pixels; those at the right and lower edge are cut off.
        buffer: pixels along the border to a block of another split that no split uses.
        seed: of the division. Equal arguments give equal splits.

    Raises:
        ValueError: fewer than two splits, a share that is not above 0, a size out of range.
    """

    shares: Mapping[str, float]
    block: int
    buffer: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check_integer('block', self.block, low=1, owner='SpatialBlockSplit')
        check_integer('buffer', self.buffer, low=0, owner='SpatialBlockSplit')
        if len(self.shares) < 2 or not all(share > 0 for share in self.shares.values()):
            raise ValueError(
                f'SpatialBlockSplit: shares needs two splits or more, each above 0, but is {dict(self.shares)}.'
            )

    def divide(self, shape: Sequence[int], label: ArrayLike | None = None, num_classes: int = 0) -> SpatialBlocks:
        """Return the division of a raster of (height, width) pixels.

        With ``label`` (H, W), of which values in [0, ``num_classes``) count, the division of 512 random ones is taken
        whose splits hold each class most nearly in the wanted shares; without, one that has the wanted numbers of
        blocks.

        Raises:
            ValueError: fewer blocks than splits; a label of another shape.
        """
        rows, columns = (-(-int(size) // self.block) for size in shape[:2])
        wanted = np.array([*self.shares.values()], float) / sum(self.shares.values())
        if rows * columns < wanted.size:
            raise ValueError(
                f'SpatialBlockSplit: {rows * columns} blocks of {self.block} px cannot be divided among {wanted.size} '
                f'splits. Choose smaller blocks.'
            )
        amounts = np.ones((rows * columns, 1))
        if label is not None:
            values = np.asarray(label)
            if values.shape != tuple(shape[:2]):
                raise ValueError(f'SpatialBlockSplit: label has shape {values.shape}, the raster {tuple(shape[:2])}.')
            amounts = self._amounts(values, num_classes, (rows, columns))
        rng = np.random.default_rng(self.seed)
        owners = [_draw(rows * columns, wanted, rng) for _ in range(DRAWS if label is not None else 1)]
        best = min(owners, key=lambda owner: _gap(owner, amounts, wanted))
        return SpatialBlocks(tuple(self.shares), (int(shape[0]), int(shape[1])), self.block, self.buffer,
                             best.reshape(rows, columns))  # fmt: skip

    def _amounts(self, label: NDArray[np.generic], num_classes: int, grid: tuple[int, int]) -> NDArray[np.float64]:
        """(blocks, C) pixels per class."""
        found = np.zeros((grid[0] * grid[1], num_classes))
        for number in range(len(found)):
            row, column = (place * self.block for place in divmod(number, grid[1]))
            part = label[row : row + self.block, column : column + self.block].ravel().astype(np.int64)
            found[number] = np.bincount(part[(part >= 0) & (part < num_classes)], minlength=num_classes)
        return found[:, found.sum(axis=0) > 0] if found.any() else np.ones((len(found), 1))


@dataclass(frozen=True, eq=False)
class SpatialBlocks:
    """A divided raster.

    Attributes:
        names: the splits. shape: (height, width) of the raster. block, buffer: in pixels.
        owner: (rows, columns) index of the split of each block.
    """

    names: tuple[str, ...]
    shape: tuple[int, int]
    block: int
    buffer: int
    owner: NDArray[np.int64]

    def split_of(self, window: Window) -> str | None:
        """The split whose blocks hold all pixels of ``window``; ``None`` when it reaches into two splits."""
        row, column, height, width = window
        owners = self.owner[
            row // self.block : -(-(row + height) // self.block),
            column // self.block : -(-(column + width) // self.block),
        ]
        found = np.unique(owners)
        return self.names[int(found[0])] if found.size == 1 else None

    def usable(self, name: str, window: Window) -> NDArray[np.bool_]:
        """(height, width) bool: pixels of ``window`` that belong to split ``name`` and lie more than ``buffer`` pixels
        (along rows, columns or both) from every pixel of another split."""
        row, column, height, width = window
        top, left = max(row - self.buffer, 0), max(column - self.buffer, 0)
        bottom, right = min(row + height + self.buffer, self.shape[0]), min(column + width + self.buffer, self.shape[1])
        rows, columns = np.arange(top, bottom) // self.block, np.arange(left, right) // self.block
        own: NDArray[np.bool_] = (self.owner == self.names.index(name))[np.ix_(rows, columns)]
        if self.buffer:
            from scipy.ndimage import minimum_filter

            own = minimum_filter(own, size=2 * self.buffer + 1, mode='constant', cval=True)
        return own[row - top : row - top + height, column - left : column - left + width]

    def windows(self, name: str, tile: int, overlap: int = 0) -> Iterator[Window]:
        """Yield the tiles of a split: windows of ``tile`` px, ``overlap`` px shared with the next, inside its blocks.

        Tiles cover each block from its upper left corner; the last of a row or column is moved back to end with the
        block. A block at the edge that is smaller than a tile is one tile. Tiles larger than a block that reach into
        another split are left out.
        """
        check_integer('tile', tile, low=1, owner='SpatialBlocks')
        check_integer('overlap', overlap, low=0, high=tile - 1, owner='SpatialBlocks')
        for row in _starts(self.shape[0], self.block, tile, overlap):
            for column in _starts(self.shape[1], self.block, tile, overlap):
                window = (row, column, min(tile, self.shape[0] - row), min(tile, self.shape[1] - column))
                if self.split_of(window) == name:
                    yield window


def _starts(size: int, block: int, tile: int, overlap: int) -> list[int]:
    """Where tiles start along one axis: in steps from the beginning of every block, the last ends with the block."""
    found = []
    for start in range(0, size, block):
        last = min(start + block, size) - tile
        found += [start] if last <= start else [*range(start, last, tile - overlap), last]
    return found


def _draw(blocks: int, wanted: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """One random division: whole numbers of blocks as near to the shares as can be, at least one each."""
    numbers = np.maximum(np.floor(wanted * blocks).astype(np.int64), 1)
    while numbers.sum() != blocks:  # a block more for the split that lacks most, or less for the one that has most
        lack = wanted * blocks - numbers
        chosen = int(lack.argmax()) if numbers.sum() < blocks else int(np.where(numbers > 1, lack, np.inf).argmin())
        numbers[chosen] += 1 if numbers.sum() < blocks else -1
    return rng.permutation(np.repeat(np.arange(wanted.size), numbers))


def _gap(owner: NDArray[np.int64], amounts: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    """Largest difference between the share of a class that a split holds and the wanted one."""
    held = np.stack([amounts[owner == split].sum(axis=0) for split in range(wanted.size)])
    return float(np.abs(held / amounts.sum(axis=0) - wanted[:, None]).max())
