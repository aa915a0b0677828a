"""How a map is cut into units that are computed, stored and resumed on their own."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = 512
"""Side of the blocks of the written files; every unit is made of whole blocks, but at the border of the raster."""

Piece = tuple[Path, tuple[int, int], tuple[int, int]]
"""A file that holds the rows [top, bottom) and columns [left, right) of a layer."""


@dataclass(frozen=True)
class Run:
    """Consecutive unfinished units of one panel: rows [top, bottom), columns [left, right)."""

    panel: int
    bands: range
    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class Layout:
    """Panels (column ranges) times bands (rows of blocks); a unit is one band of one panel.

    A panel is computed from top to bottom, so only tiles that cross the border of a panel are computed twice.

    Attributes:
        height, width: of the raster. panel: columns of a panel, a multiple of :data:`BLOCK`.
    """

    height: int
    width: int
    panel: int

    @property
    def bands(self) -> int:
        """Rows of blocks."""
        return -(-self.height // BLOCK)

    @property
    def panels(self) -> int:
        """Column ranges."""
        return -(-self.width // self.panel)

    def units(self, shard: int = 0, shards: int = 1) -> list[tuple[int, int]]:
        """(panel, band) of a shard: each shard has consecutive bands, so that few tiles are computed twice.

        Raises:
            ValueError: no such shard.
        """
        if not 0 <= shard < shards:
            raise ValueError(f'shard must be in [0, {shards}), but is {shard}.')
        mine = range(shard * self.bands // shards, (shard + 1) * self.bands // shards)
        return [(panel, band) for panel in range(self.panels) for band in mine]

    def rows(self, band: int) -> tuple[int, int]:
        """[top, bottom) of a band."""
        return band * BLOCK, min((band + 1) * BLOCK, self.height)

    def columns(self, panel: int) -> tuple[int, int]:
        """[left, right) of a panel."""
        return panel * self.panel, min((panel + 1) * self.panel, self.width)

    def runs(self, todo: Collection[tuple[int, int]]) -> Iterator[Run]:
        """The units to do, joined where they follow each other in a panel."""
        todo = set(todo)
        for panel in range(self.panels):
            bands = sorted(band for own, band in todo if own == panel)
            while bands:
                count = next((k for k in range(1, len(bands)) if bands[k] != bands[0] + k), len(bands))
                first, last = bands[0], bands[count - 1]
                yield Run(panel, range(first, last + 1), self.rows(first)[0], self.rows(last)[1], *self.columns(panel))
                bands = bands[count:]


def panel_width(width: int, bytes_per_column: int, budget: int, wanted: int | None = None) -> int:
    """Columns of a panel: ``wanted``, else as many as ``budget`` bytes allow, all panels about equal; whole blocks."""
    most = wanted or max(1, budget // bytes_per_column // BLOCK) * BLOCK
    panels = 1 if most >= width else -(-width // most)
    each = -(-width // panels) if wanted is None else most
    return -(-each // BLOCK) * BLOCK
