"""A strip of class scores that moves down a raster while tiles are added; its size knows nothing of the height."""

from __future__ import annotations

import torch
from torch import Tensor


class ScoreStrip:
    """Sum of weighted tiles over a window of rows [top, top + rows) and columns [left, right).

    Tiles come row of tiles by row of tiles. Rows that no later tile reaches are :meth:`finished`, then the strip is to
    :meth:`move` down by as many. A sum is a plain sequence of additions in the order the tiles come, so a pixel's value
    does not depend on where the strip starts or how wide it is.

    Args:
        channels: of the scores. rows: the height of a tile is enough. top, left, right: where the strip starts.
        device: where the sums live: channels * rows * (right - left) float32.
    """

    def __init__(self, channels: int, rows: int, top: int, left: int, right: int, device: torch.device) -> None:
        self.top, self.left, self.right = top, left, right
        self._sums = torch.zeros((channels, rows, right - left), device=device)

    def add(self, scores: Tensor, row: int, column: int) -> None:
        """Add scores (C, h, w) whose first pixel is at (row, column); what lies outside the strip is left out.

        Raises:
            ValueError: rows below the strip, which must move down first.
        """
        bottom = row + scores.shape[1]
        if bottom > self.top + self._sums.shape[1]:
            raise ValueError(f'ScoreStrip: rows up to {bottom} do not fit the {self._sums.shape[1]} rows from '
                             f'{self.top}; move it down first.')
        first, left, right = max(row, self.top), max(column, self.left), min(column + scores.shape[2], self.right)
        if first >= bottom or left >= right:
            return
        part = scores[:, first - row :, left - column : right - column]
        self._sums[:, first - self.top : bottom - self.top, left - self.left : right - self.left].add_(part)

    def finished(self, stop: int) -> Tensor:
        """The sums (C, stop - top, width) of the rows before ``stop``; a view, gone after :meth:`move`."""
        if not 0 <= stop - self.top <= self._sums.shape[1]:
            raise ValueError(f'ScoreStrip: the strip holds the rows {self.top} to {self.top + self._sums.shape[1]}, '
                             f'not up to {stop}.')
        return self._sums[:, : stop - self.top]

    def move(self, top: int) -> None:
        """Let the strip start at ``top``, no farther than its end; the rows before are gone."""
        count, rows = top - self.top, self._sums.shape[1]
        for start in range(0, rows - count, max(count, 1)):  # pieces that do not overlap their new place
            moved = self._sums[:, start + count : min(start + 2 * count, rows)]
            self._sums[:, start : start + moved.shape[1]] = moved
        self._sums[:, rows - count :] = 0
        self.top = top
