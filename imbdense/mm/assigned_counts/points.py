"""Point heads: FCOS and FoveaBox."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from mmengine.structures import InstanceData
from numpy.typing import NDArray
from torch import Tensor

from imbdense.mm.assigned_counts.anchors import class_row
from imbdense.mm.assigned_counts.feature_sizes import Size, feature_sizes
from imbdense.mm.assigned_counts.images import DrawnImage

CHUNK = 500_000
"""Points x objects in one call of FCOS' ``get_targets``: about 100 MB of intermediate results."""


class FCOSCounter:
    """Counts the points of an ``FCOSHead`` per class with its own ``get_targets``; it ignores none."""

    def __init__(self, head: Any, divisor: int) -> None:
        self.head = head
        self.divisor = divisor
        self.classes = int(head.num_classes)
        self._points = lru_cache(maxsize=4)(self._make_points)

    def signature(self) -> list[Any]:
        """What the counts depend on besides the images."""
        head = self.head
        sampling = [head.center_sampling, head.center_sample_radius, head.norm_on_bbox]
        return [head.prior_generator, list(head.regress_ranges), sampling, self.divisor, self.classes]

    def count(self, image: DrawnImage) -> NDArray[Any]:
        """(1, C + 1) points of each class, the background last."""
        sizes = feature_sizes(image.shape, self.divisor, self.head.prior_generator.strides)
        everything = self._points(sizes)
        total = sum(len(level) for level in everything)
        near = [
            points[self._near(points, size, bounds, image.boxes)]
            for points, size, bounds in zip(everything, sizes, self.head.regress_ranges)
        ]
        objects = InstanceData(bboxes=image.boxes, labels=image.labels)
        # A point is assigned without regard to the others, so any part of each level may be asked by itself.
        pieces = -(-sum(len(level) for level in near) * len(image.boxes) // CHUNK)
        labels = [image.labels[:0]]
        for piece in range(pieces):
            part = [level[len(level) * piece // pieces : len(level) * (piece + 1) // pieces] for level in near]
            labels += self.head.get_targets(part, [objects])[0]
        flat = torch.cat(labels)
        foreground = flat[flat < self.classes]
        return class_row(foreground, total - len(foreground), self.classes)

    @staticmethod
    def _near(points: Tensor, size: Size, bounds: tuple[float, float], boxes: Tensor) -> Tensor:
        """(n,) whether a point of one level lies in a box whose distances can be in the level's range.

        All others are background: the largest distance to the sides is between half and all of the longer side.
        """
        longer = (boxes[:, 2:] - boxes[:, :2]).amax(1) if len(boxes) else boxes.new_zeros(0)
        fitting = boxes[(longer / 2 <= bounds[1] * (1 + 1e-4)) & (longer * (1 + 1e-4) >= bounds[0])]
        grid = points.view(*size, 2)
        first, last = fitting[:, :2].contiguous(), fitting[:, 2:].contiguous()
        left = torch.searchsorted(grid[0, :, 0].contiguous(), first[:, 0].contiguous())
        right = torch.searchsorted(grid[0, :, 0].contiguous(), last[:, 0].contiguous(), right=True)
        top = torch.searchsorted(grid[:, 0, 1].contiguous(), first[:, 1].contiguous())
        bottom = torch.searchsorted(grid[:, 0, 1].contiguous(), last[:, 1].contiguous(), right=True)
        inside = torch.zeros(size, dtype=torch.bool)
        for x1, y1, x2, y2 in torch.stack([left, top, right, bottom], 1).tolist():
            inside[y1:y2, x1:x2] = True
        return inside.flatten()

    def _make_points(self, sizes: tuple[Size, ...]) -> list[Tensor]:
        """Points of each level."""
        return self.head.prior_generator.grid_priors(list(sizes), dtype=torch.float32, device='cpu')


class FoveaCounter:
    """Counts the points of a ``FoveaHead`` per class with its own ``get_targets``; it ignores none."""

    def __init__(self, head: Any, divisor: int) -> None:
        self.head = head
        self.divisor = divisor
        self.classes = int(head.num_classes)

    def signature(self) -> list[Any]:
        """What the counts depend on besides the images."""
        head = self.head
        return [head.prior_generator, head.scale_ranges, head.base_edge_list, head.sigma, self.divisor, self.classes]

    def count(self, image: DrawnImage) -> NDArray[Any]:
        """(1, C + 1) points of each class, the background last."""
        sizes = list(feature_sizes(image.shape, self.divisor, self.head.prior_generator.strides))
        priors = self.head.prior_generator.grid_priors(sizes, dtype=torch.float32, device='cpu')
        objects = InstanceData(bboxes=image.boxes, labels=image.labels)
        labels, _ = self.head.get_targets([objects], sizes, priors)
        return class_row(labels[labels < self.classes], int((labels == self.classes).sum()), self.classes)
