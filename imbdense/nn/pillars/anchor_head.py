"""A head with anchors: class, box, direction, and how well the box fits.

Yan et al.: SECOND. Sensors 2018; the fit as a score: Zheng et al.: CIA-SSD. AAAI 2021.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.core.boxes3d import (
    anchor_grid,
    assign_anchors,
    box_offset_loss,
    decode_boxes,
    direction_class,
    encode_boxes,
    iou_3d,
    with_direction,
)
from imbdense.core.reduction import full_precision

ClassLoss = Callable[..., Tensor]
"""(pred (P, C), labels (P,) in [0, C], weight (P,), avg_factor=...) -> scalar, as losses of mmdet heads."""
RARE_START = 0.01
"""Class scores before training: nearly everything is background."""


@dataclass(frozen=True)
class AnchorOutputs:
    """What the head says of A anchors in B samples: scores (B, A, C) and directions (B, A, 2) as logits, offsets
    (B, A, 7), fit (B, A) as a logit."""

    scores: Tensor
    offsets: Tensor
    directions: Tensor
    fit: Tensor


@dataclass(frozen=True)
class AnchorTargets:
    """What they learn: labels (B, A), C = background, -1 = left out; boxes (B, A, 7), read where an anchor is
    positive."""

    labels: Tensor
    boxes: Tensor
    num_classes: int

    @property
    def positive(self) -> Tensor:
        """(B, A) bool."""
        return (self.labels >= 0) & (self.labels < self.num_classes)


class BevAnchorHead(nn.Module):
    """One 1 x 1 convolution; two anchors per class and cell.

    Args:
        in_channels: of the map. extent: metres it covers, x_min, y_min, x_max, y_max.
        sizes: (C, 3) l, w, h of the anchors of each class. heights: (C,) z of their centres.
        positive, negative: (C,) overlaps from which an anchor learns a box, and below which background.
        fit_power: in [0, 1]; score = class^(1 - fit_power) * fit^fit_power.

    ``loss``: class (the given loss, divided by the positives), box (smooth L1, sine of the yaw), direction (cross
    entropy) and fit (binary cross entropy against the true 3-D IoU of the predicted box), the latter three averaged
    over the positives. Without any the last three are 0 with a graph.
    """

    def __init__(
        self, in_channels: int, extent: Sequence[float], sizes: Sequence[Sequence[float]], heights: Sequence[float],
        positive: Sequence[float], negative: Sequence[float], fit_power: float = 0.5,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_classes = len(sizes)
        if not len(heights) == len(positive) == len(negative) == self.num_classes:
            raise ValueError('BevAnchorHead: sizes, heights, positive and negative need one entry per class.')
        self.extent, self.sizes, self.heights = tuple(extent), [list(size) for size in sizes], list(heights)
        self.positive, self.negative, self.fit_power = list(positive), list(negative), float(fit_power)
        self.per_cell = 2 * self.num_classes
        self.parts = (self.num_classes, 7, 2, 1)
        self.predict = nn.Conv2d(in_channels, self.per_cell * sum(self.parts), 1)
        nn.init.normal_(self.predict.weight, std=0.01)
        bias = torch.zeros(self.per_cell, sum(self.parts))
        bias[:, : self.num_classes] = -math.log((1 - RARE_START) / RARE_START)
        self.predict.bias = nn.Parameter(bias.flatten())
        self._grids: dict[tuple[int, int, torch.device], Tensor] = {}

    def forward(self, x: Tensor) -> AnchorOutputs:
        """Outputs at the anchors of :meth:`anchors`."""
        batch, _, rows, columns = x.shape
        flat = full_precision(self.predict(x)).reshape(batch, self.per_cell, -1, rows, columns)
        scores, offsets, directions, fit = flat.permute(0, 3, 4, 1, 2).reshape(
            batch, rows * columns * self.per_cell, -1).split(self.parts, dim=2)  # fmt: skip
        return AnchorOutputs(scores, offsets, directions, fit[..., 0])

    def anchors(self, rows: int, columns: int, device: torch.device) -> Tensor:
        """(A, 7) in the order of the outputs."""
        key = (rows, columns, device)
        if key not in self._grids:
            grid = anchor_grid(self.extent, rows, columns, self.sizes, self.heights)
            self._grids = {key: grid.reshape(-1, 7).to(device)}
        return self._grids[key]

    def anchor_labels(self, anchors: Tensor) -> Tensor:
        """(A,) class of each anchor."""
        own = torch.arange(self.num_classes, device=anchors.device).repeat_interleave(2)
        return own.repeat(len(anchors) // self.per_cell)

    def targets(
        self, anchors: Tensor, boxes: Sequence[Tensor], labels: Sequence[Tensor], ignored: Sequence[Tensor]
    ) -> AnchorTargets:
        """What the anchors of every sample learn, see :func:`imbdense.core.boxes3d.assign_anchors`."""
        kinds = self.anchor_labels(anchors)
        limits = anchors.new_tensor(self.positive), anchors.new_tensor(self.negative)
        rows, matched = [], []
        for own, klass, other in zip(boxes, labels, ignored):
            found = assign_anchors(anchors, kinds, own, klass, other, self.num_classes, *limits)
            rows.append(found.labels)
            matched.append(own[found.matched] if len(own) else anchors.new_zeros(anchors.shape))
        return AnchorTargets(torch.stack(rows), torch.stack(matched), self.num_classes)

    def loss(
        self, outputs: AnchorOutputs, targets: AnchorTargets, anchors: Tensor, loss_cls: ClassLoss,
        avg_factor: float | Tensor,
    ) -> dict[str, Tensor]:  # fmt: skip
        """Terms ``loss_cls``, ``loss_box``, ``loss_direction``, ``loss_fit``.

        Args:
            avg_factor: what all of them are divided by: the positives of the batch, at least 1, over all ranks.
        """
        labels, positive = targets.labels.flatten(), targets.positive
        weight = (labels >= 0).to(outputs.scores.dtype)
        safe = torch.where(labels >= 0, labels, labels.new_tensor(self.num_classes))
        classes = loss_cls(outputs.scores.flatten(0, 1), safe, weight, avg_factor=avg_factor)
        own = anchors.expand(len(positive), -1, -1)[positive]
        wanted, offsets = targets.boxes[positive], outputs.offsets[positive]
        box = box_offset_loss(offsets, encode_boxes(wanted, own)).sum()
        direction = F.cross_entropy(outputs.directions[positive], direction_class(wanted[:, 6]), reduction='sum')
        with torch.no_grad():
            quality = iou_3d(decode_boxes(offsets, own), wanted, aligned=True).to(offsets.dtype)
        fit = F.binary_cross_entropy_with_logits(outputs.fit[positive], quality, reduction='sum')
        terms = {'loss_box': 2.0 * box, 'loss_direction': 0.2 * direction, 'loss_fit': fit}
        return {'loss_cls': classes, **{name: value / avg_factor for name, value in terms.items()}}

    def proposals(self, outputs: AnchorOutputs, anchors: Tensor, limit: int) -> list[tuple[Tensor, Tensor]]:
        """The ``limit`` best boxes of every sample before suppression, best first: boxes (K, 7), scores (K, C)."""
        fit = outputs.fit.sigmoid()[..., None]
        scores = outputs.scores.sigmoid() ** (1 - self.fit_power) * fit**self.fit_power
        found = []
        for own, offsets, directions in zip(scores, outputs.offsets, outputs.directions):
            best = own.amax(dim=1).argsort(descending=True, stable=True)[:limit]
            boxes = decode_boxes(offsets[best], anchors[best])
            boxes[:, 6] = with_direction(boxes[:, 6], directions[best].argmax(dim=1))
            found.append((boxes, own[best]))
        return found
