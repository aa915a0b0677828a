"""Mean features of objects on a feature map: masks by area, boxes as RoIAlign, both as weights of the map's cells."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

MIN_WEIGHT = 1e-6
"""Cells below which a mask counts as lost."""
BINS = 7
CHUNK = 256
"""Objects whose weights are multiplied with the map at a time."""


class MaskedPool:
    """Pool a feature map (D, h, w) over the masks and boxes of one image.

    An image pixel covers an area of cells; cell (i, j) has the weight of the area of it that the mask covers, that is
    the mask resized to the map by area averages. The feature of an object is the mean of the map with these weights.

    * A mask that covers less than one cell in all is pooled over its box, enlarged to 2 x 2 cells: its one cell would
      show mostly what is around it, in an arbitrary cut.
    * A mask that covers less than 1e-6 cells (an empty one) takes the single cell nearest to the middle of its box.
    * A box is pooled as RoIAlign into 7 x 7 bins (aligned, as many samples per bin as it has cells) and their mean;
      one that covers less than a cell is enlarged as above.

    Weights are made on the CPU in float64 and given out in float32, the mean is taken in float32, also under autocast
    and of half-precision maps.

    Args:
        image: (H, W) pixels of the image the objects are given in.
        cells: (h, w) of the map.
        seen: share of the map's height and width that shows the image; the rest shows padding.

    Raises:
        ValueError: no pixel, no cell, or a share outside (0, 1].
    """

    def __init__(
        self, image: Sequence[int], cells: Sequence[int], seen: Sequence[float] = (1.0, 1.0)
    ) -> None:
        if min(*image, *cells) < 1 or not all(0 < share <= 1 for share in seen):
            raise ValueError(f'MaskedPool: image {tuple(image)} and cells {tuple(cells)} must be at least 1, seen '
                             f'{tuple(seen)} in (0, 1].')
        self.image, self.cells = tuple(image), (int(cells[0]), int(cells[1]))
        self.scale = tuple(share * cell / pixels for share, cell, pixels in zip(seen, cells, image))

    def __call__(self, feature: Tensor, weights: Tensor) -> Tensor:
        """(K, D) float32 means of ``feature`` (D, h, w) with weights (K, h, w), each of sum 1; on the map's device."""
        if tuple(feature.shape[1:]) != self.cells:
            raise ValueError(f'MaskedPool: the map has {tuple(feature.shape[1:])} cells, expected {self.cells}.')
        with torch.autocast(feature.device.type, enabled=False):
            flat = feature.float().flatten(1).T
            parts = [part.flatten(1).to(flat) @ flat for part in weights.split(CHUNK)]
            return torch.cat(parts) if parts else flat.new_zeros(0, feature.shape[0])

    def mask_weights(self, mask: Tensor, top: int = 0, left: int = 0) -> Tensor:
        """(h, w) weights of a mask, bool or 0/1, of the whole image or of a window that begins at (top, left)."""
        spans = [self._pixels(axis, start, size) for axis, (start, size) in enumerate(zip((top, left), mask.shape))]
        (first_y, overlap_y), (first_x, overlap_x) = spans
        covered = overlap_y.T @ mask.double() @ overlap_x
        total = float(covered.sum())
        rows, columns = torch.nonzero(mask.any(1)).flatten(), torch.nonzero(mask.any(0)).flatten()
        if not len(rows):
            box = (left, top, left + mask.shape[1], top + mask.shape[0])
        else:
            box = (left + int(columns[0]), top + int(rows[0]), left + int(columns[-1]) + 1, top + int(rows[-1]) + 1)
        if total < MIN_WEIGHT:
            return self._nearest_cell(box)
        if total < 1:
            return self.box_weights(box)
        weights = torch.zeros(self.cells, dtype=torch.float32)
        weights[first_y : first_y + covered.shape[0], first_x : first_x + covered.shape[1]] = (covered / total).float()
        return weights

    def box_weights(self, box: Sequence[float]) -> Tensor:
        """(h, w) weights of a box x1, y1, x2, y2 in pixels of the image."""
        low = [float(box[1]) * self.scale[0], float(box[0]) * self.scale[1]]
        high = [float(box[3]) * self.scale[0], float(box[2]) * self.scale[1]]
        sides = [max(end - start, 0.0) for start, end in zip(low, high)]
        if sides[0] * sides[1] < 1:
            for axis, cells in enumerate(self.cells):
                side = min(max(sides[axis], 2.0), float(cells))
                start = (low[axis] + high[axis] - side) / 2
                low[axis] = min(max(start, 0.0), cells - side)
                high[axis] = low[axis] + side
        lines = [_aligned(low[axis], high[axis], cells) for axis, cells in enumerate(self.cells)]
        weights = torch.outer(*lines)
        total = float(weights.sum())
        return self._nearest_cell(box) if total < MIN_WEIGHT else (weights / total).float()

    def seen_weights(self) -> Tensor:
        """(h, w) weights of the whole image."""
        lines = [self._pixels(axis, 0, self.image[axis]) for axis in range(2)]
        weights = torch.zeros(self.cells, dtype=torch.float64)
        (first_y, y), (first_x, x) = lines
        weights[first_y : first_y + y.shape[1], first_x : first_x + x.shape[1]] = torch.outer(y.sum(0), x.sum(0))
        return (weights / weights.sum()).float()

    def _pixels(self, axis: int, start: int, size: int) -> tuple[int, Tensor]:
        """(first cell, (size, cells) how much of each cell each of ``size`` pixels covers)."""
        scale, cells = self.scale[axis], self.cells[axis]
        first = min(int(start * scale), cells - 1)
        last = min(max(math.ceil((start + size) * scale), first + 1), cells)
        edges = torch.arange(start, start + size + 1, dtype=torch.float64)[:, None] * scale
        cell = torch.arange(first, last, dtype=torch.float64)
        return first, (torch.minimum(edges[1:], cell + 1) - torch.maximum(edges[:-1], cell)).clamp(min=0)

    def _nearest_cell(self, box: Sequence[float]) -> Tensor:
        """The cell nearest to the middle of a box."""
        weights = torch.zeros(self.cells, dtype=torch.float32)
        middle = ((box[1] + box[3]) / 2 * self.scale[0], (box[0] + box[2]) / 2 * self.scale[1])
        row, column = (min(max(int(place), 0), cells - 1) for place, cells in zip(middle, self.cells))
        weights[row, column] = 1.0
        return weights


def _aligned(low: float, high: float, cells: int) -> Tensor:
    """(cells,) float64: the mean of the weights of bilinear interpolation at RoIAlign's samples along one axis.

    The samples of an axis do not depend on the other one, so the weights of a box are an outer product. A sample more
    than one cell outside counts as zero; one at the border takes the border's cell.
    """
    samples = BINS * max(math.ceil((high - low) / BINS), 1)
    places = low - 0.5 + (high - low) * (torch.arange(samples, dtype=torch.float64) + 0.5) / samples
    inside = (places >= -1) & (places <= cells)
    places = places.clamp(0, cells - 1)
    near = places.floor().long().clamp(max=cells - 1)
    part = places - near
    weights = torch.zeros(cells, dtype=torch.float64)
    weights.index_add_(0, near, torch.where(inside, 1 - part, 0.0))
    weights.index_add_(0, (near + 1).clamp(max=cells - 1), torch.where(inside, part, 0.0))
    return weights / samples
