"""What a network of change takes of one sample: crops of a pair, each as levels of both epochs with their links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from imbdense.nn.change3d import Links
from imbdense.nn.point_conv import EpochLevels, PointLevel


@dataclass(frozen=True, eq=False)
class PairCrop:
    """One crop.

    Attributes:
        levels1, levels2: of each epoch, finest first. feats1, feats2: (N, F) float32 at the finest.
        links: per level, from epoch 2 to epoch 1. links_back: from epoch 1 to epoch 2.
        labels, labels1: (N,) int64 at the finest points of epoch 2 and 1, -1 = ignored; ``None`` without labels.
        points, points1: (P,) int64 numbers, in the scene, of the points of epoch 2 and 1 in the crop. rows, rows1: (P,)
            the finest point of the crop that stands for each.
    """

    levels1: list[PointLevel]
    levels2: list[PointLevel]
    feats1: Tensor
    feats2: Tensor
    links: list[Links]
    links_back: list[Links]
    labels: Tensor | None
    labels1: Tensor | None
    points: Tensor
    rows: Tensor
    points1: Tensor
    rows1: Tensor


@dataclass(frozen=True, eq=False)
class PairInputs:
    """One sample.

    Attributes:
        crops: one to learn from, or all that cover the scene.
        points1, points2: (N, 3) float32, the cells of both epochs in the whole sample. voxel: their edge, metres.
        full_cell: (R,) int64, the cell of epoch 2 that each raw point lies in; ``None``: predictions are of the cells.
    """

    crops: list[PairCrop]
    points1: Tensor
    points2: Tensor
    voxel: float
    full_cell: Tensor | None = None


@dataclass(frozen=True, eq=False)
class PairBatch:
    """Crops stacked: ``epoch1``, ``epoch2``, their features, and the links per level in both directions."""

    epoch1: EpochLevels
    epoch2: EpochLevels
    feats1: Tensor
    feats2: Tensor
    links: list[Links]
    links_back: list[Links]

    @classmethod
    def stack(cls, crops: Sequence[PairCrop], device: torch.device | str) -> PairBatch:
        """The crops as one batch on a device."""
        depth = range(len(crops[0].levels2))
        links = [Links.stack([crop.links[level] for crop in crops], [len(crop.levels1[level]) for crop in crops])
                 for level in depth]
        back = [Links.stack([crop.links_back[level] for crop in crops], [len(crop.levels2[level]) for crop in crops])
                for level in depth]
        return cls(
            EpochLevels.stack([crop.levels1 for crop in crops]).to(device),
            EpochLevels.stack([crop.levels2 for crop in crops]).to(device),
            torch.cat([crop.feats1 for crop in crops]).to(device),
            torch.cat([crop.feats2 for crop in crops]).to(device),
            [item.to(device) for item in links],
            [item.to(device) for item in back],
        )
