"""Points gathered into upright pillars: an image seen from above.

Lang et al.: PointPillars: Fast Encoders for Object Detection from Point Clouds. CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

PLACES = 8
"""x, y, z; offsets from the middle of the pillar (x, y) and from the mean of its points (x, y, z)."""


class PillarEncoder(nn.Module):
    """A small network on every point, the maximum over the points of each pillar, laid out as a map.

    Unlike the published one it has no limit on points or pillars: points are not padded to a table.

    Args:
        in_features: F, numbers per point beside x, y, z. out_channels: C of the map.
        extent: x_min, y_min, x_max, y_max in metres; what lies outside is not seen.
        cell: side of a pillar in metres; the extent must be whole pillars.

    Shapes: points (N, 3 + F) and their sample (N,) int64 -> (batch_size, C, rows along y, columns along x) float32.
    A batch without a point gives zeros.
    """

    def __init__(self, in_features: int, out_channels: int, extent: Sequence[float], cell: float) -> None:
        super().__init__()
        self.extent, self.cell = tuple(float(value) for value in extent), float(cell)
        x_min, y_min, x_max, y_max = self.extent
        self.columns, self.rows = round((x_max - x_min) / self.cell), round((y_max - y_min) / self.cell)
        if min(self.columns, self.rows) < 1 or abs(self.columns * self.cell - (x_max - x_min)) > 1e-6 or abs(
            self.rows * self.cell - (y_max - y_min)
        ) > 1e-6:
            raise ValueError(f'PillarEncoder: extent {self.extent} is no whole number of pillars of {cell} m.')
        self.in_features, self.out_channels = int(in_features), int(out_channels)
        self.layers = nn.Sequential(
            nn.Linear(PLACES + self.in_features, out_channels, bias=False), nn.BatchNorm1d(out_channels, eps=1e-3),
            nn.ReLU(), nn.Linear(out_channels, out_channels), nn.ReLU(),
        )  # fmt: skip

    def forward(self, points: Tensor, sample: Tensor, batch_size: int) -> Tensor:
        """Return the map; see the class."""
        if points.ndim != 2 or points.shape[1] != 3 + self.in_features:
            raise ValueError(
                f'PillarEncoder: points must be (N, {3 + self.in_features}), x, y, z and {self.in_features} features, '
                f'but are {tuple(points.shape)}.'
            )
        column = torch.floor((points[:, 0] - self.extent[0]) / self.cell).long()
        row = torch.floor((points[:, 1] - self.extent[1]) / self.cell).long()
        inside = (column >= 0) & (column < self.columns) & (row >= 0) & (row < self.rows)
        points, column, row, sample = points[inside], column[inside], row[inside], sample[inside]
        size = batch_size * self.rows * self.columns
        canvas = points.new_zeros(size, self.out_channels, dtype=torch.float32)
        if len(points) > 1:  # batch statistics need two
            pillar = (sample * self.rows + row) * self.columns + column
            features = self.layers(self._described(points, column, row, pillar, size)).float()
            index = pillar[:, None].expand_as(features)
            canvas = canvas.scatter_reduce(0, index, features, 'amax', include_self=True)  # features are >= 0
        else:
            canvas = canvas + 0.0 * sum(weight.sum() for weight in self.parameters())
        return canvas.reshape(batch_size, self.rows, self.columns, -1).permute(0, 3, 1, 2).contiguous()

    def _described(self, points: Tensor, column: Tensor, row: Tensor, pillar: Tensor, size: int) -> Tensor:
        """(N, 8 + F): what the network sees of a point."""
        total = points.new_zeros(size, 3).index_add(0, pillar, points[:, :3])
        number = points.new_zeros(size).index_add(0, pillar, torch.ones_like(points[:, 0]))
        mean = total[pillar] / number[pillar][:, None]
        middle = torch.stack([self.extent[0] + (column + 0.5) * self.cell,
                              self.extent[1] + (row + 0.5) * self.cell], dim=1).to(points)
        return torch.cat([points, points[:, :2] - middle, points[:, :3] - mean], dim=1)
