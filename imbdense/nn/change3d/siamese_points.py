"""Two epochs through encoders, differences at every level, one decoder.

De Gelis, Lefevre & Corpetti, "Siamese KPConv: 3D multiple change detection from raw point clouds using deep learning",
ISPRS J. 197 (2023); de Gelis, Corpetti & Lefevre, "Change detection needs change information" (Encoder-Fusion), IEEE
TGRS 2024, arXiv 2304.12639.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_choice
from imbdense.nn.point_conv.levels import EpochLevels, gather_rows, row_offsets, stack_rows

FUSIONS = ('diff', 'concat_diff', 'ef', 'none')


@dataclass(frozen=True, eq=False)
class Links:
    """Nearest points of the other epoch at one level: ``index`` (N, k) int64 rows, -1 = none within reach; ``weight``
    (N, k) float32, zeros where there is none."""

    index: Tensor
    weight: Tensor

    @property
    def missing(self) -> Tensor:
        """(N, 1) float32: 1 where the other epoch has nothing within reach."""
        return (self.index[:, :1] < 0).float()

    def gather(self, feats: Tensor) -> Tensor:
        """Features of the other epoch (S, C) at these points, (N, C); zeros where there are none."""
        if self.index.shape[1] == 1:
            return gather_rows(feats, self.index[:, 0])
        return (gather_rows(feats, self.index) * self.weight[..., None].to(feats.dtype)).sum(1)

    def to(self, device: torch.device | str) -> Links:
        """The same on another device."""
        return Links(self.index.to(device), self.weight.to(device))

    @classmethod
    def stack(cls, parts: Sequence[Links], lengths: Sequence[int]) -> Links:
        """Links of several samples; ``lengths``: points of the other epoch of each at this level."""
        return cls(stack_rows([part.index for part in parts], row_offsets(lengths)),
                   torch.cat([part.weight for part in parts]))


class SiamesePoints(nn.Module):
    """Features of change at the points of one epoch, given the other.

    At every level l: ``d = f_here - f_there(nearest)``; a point without a partner within reach takes f_there = 0 and
    adds a learned vector per level (the flag channel of a linear layer).

    ================ ======================================================================== ======================
    fusion           what the decoder gets per level                                          encoders
    ================ ======================================================================== ======================
    'diff'           d                                                                        one, shared
    'concat_diff'    W [f_here, d]                                                            one, shared
    'ef'             d, innermost W [f_here, d]; the encoder of this epoch goes on from       two
                     W [f_here, d] at each level
    'none'           f_here: the other epoch is not looked at (a baseline)                    one
    ================ ======================================================================== ======================

    The authors double the widths where they concatenate; here a linear layer W goes back to the width of the level, so
    that any backbone works unchanged.

    Args:
        stages: encoder and decoder of this epoch: ``channels``, ``out_channels``, ``encode``, ``decode``, see
            :func:`imbdense.nn.change3d.stages.stages_of`.
        other: encoder of the other epoch for 'ef' (its decoder is not used); ``None`` otherwise.

    Identical epochs: d is exactly 0 in eval mode (all but 'ef', whose encoders differ).
    """

    def __init__(self, stages: Any, fusion: str = 'diff', other: Any = None) -> None:
        super().__init__()
        self.fusion = check_choice('fusion', fusion, FUSIONS, owner='SiamesePoints')
        if (other is not None) != (fusion == 'ef'):
            raise ValueError("SiamesePoints: a second encoder belongs to fusion='ef' and to no other.")
        self.stages, self.other = stages, other
        self.out_channels: int = stages.out_channels
        widths = stages.channels
        self.flag = nn.ParameterList(nn.Parameter(torch.zeros(width)) for width in widths if fusion != 'none')
        joined = widths if fusion in ('concat_diff', 'ef') else ()
        self.join = nn.ModuleList(nn.Linear(2 * width, width, bias=False) for width in joined)

    def forward(
        self, here: EpochLevels, feats_here: Tensor, there: EpochLevels, feats_there: Tensor, links: Sequence[Links]
    ) -> Tensor:
        """(N_0, out_channels) at the finest points of ``here``.

        Args:
            feats_here, feats_there: input features (N_0, C) of each epoch. links: per level, from here to there.
        """
        passed: list[Tensor] = []
        last = len(self.stages.channels) - 1
        for level in range(last + 1):
            feats_here = self.stages.encode(level, feats_here, here)
            if self.fusion == 'none':
                passed.append(feats_here)
                continue
            feats_there = (self.other or self.stages).encode(level, feats_there, there)
            link = links[level]
            change = feats_here - link.gather(feats_there) + link.missing.to(feats_here.dtype) * self.flag[level]
            if self.fusion == 'diff':
                passed.append(change)
                continue
            both = self.join[level](torch.cat([feats_here, change], 1))
            passed.append(change if self.fusion == 'ef' and level < last else both)
            if self.fusion == 'ef':
                feats_here = both
        out: Tensor = self.stages.decode(passed, here)
        return out
