"""Kernel point convolution with a rigid kernel (Thomas et al., "KPConv", ICCV 2019)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_integer, check_number
from imbdense.core.reduction import full_precision
from imbdense.nn.point_conv.kernel_points import kernel_points
from imbdense.nn.point_conv.levels import gather_rows

NUMBERS_AT_ONCE = 8_000_000
"""Aim for the largest temporary of a chunk of queries, in numbers."""


class RigidKPConv(nn.Module):
    """``out_i = sum_j sum_k max(0, 1 - |(p_j - p_i) - x_k| / sigma) W_k f_j`` over the neighbours j of query i.

    The kernel points x_k lie in the centre and on a sphere of 1.5 sigma; neighbours come as an index table, so the
    module is tensor code alone. Memory: queries * M * K numbers, in chunks of queries.

    Args:
        in_channels, out_channels: widths.
        sigma: reach of a kernel point, metres; 1.0 to 1.2 cells of the level. Neighbours are wanted within 2.5 sigma.
        count: K kernel points.
        normalize: divide by the number of neighbours that a kernel point reaches; evens out uneven density. The
            authors do not divide.
        seed: of the kernel points.

    Shapes: forward(queries (Q, 3), support (S, 3), neighbours (Q, M) int64 with -1 = none, feats (S, Cin)) ->
    (Q, Cout) float32 (float64 stays). A query without neighbour gives zeros.
    """

    def __init__(
        self, in_channels: int, out_channels: int, sigma: float, count: int = 15, normalize: bool = False, seed: int = 0
    ) -> None:
        super().__init__()
        self.sigma = check_number('sigma', sigma, low=0.0, low_open=True, owner='RigidKPConv')
        check_integer('count', count, low=2, owner='RigidKPConv')
        self.normalize = bool(normalize)
        self.kernel: Tensor
        self.register_buffer('kernel', kernel_points(count, 1.5 * self.sigma, seed))
        self.weight = nn.Parameter(torch.empty(count, in_channels, out_channels))
        bound = 1.0 / math.sqrt(count * in_channels)
        nn.init.uniform_(self.weight, -math.sqrt(3) * bound, math.sqrt(3) * bound)

    def forward(self, queries: Tensor, support: Tensor, neighbours: Tensor, feats: Tensor) -> Tensor:
        """See the class."""
        count, channels = self.weight.shape[0], feats.shape[1]
        per_query = max(neighbours.shape[1], 1) * max(count, channels) + count * channels
        step = max(NUMBERS_AT_ONCE // per_query, 1)
        parts = [self._chunk(queries[start : start + step], support, neighbours[start : start + step], feats)
                 for start in range(0, len(queries), step)]
        return torch.cat(parts) if parts else feats.new_zeros(0, self.weight.shape[2])

    def _chunk(self, queries: Tensor, support: Tensor, neighbours: Tensor, feats: Tensor) -> Tensor:
        """Some of the queries."""
        kernel = self.kernel.to(support.dtype)
        offset = gather_rows(support, neighbours) - queries[:, None]
        distance = torch.linalg.vector_norm(offset[:, :, None] - kernel, dim=-1)  # (q, M, K)
        influence = (1.0 - distance / self.sigma).clamp_min(0.0) * (neighbours >= 0)[..., None]
        at_kernel = torch.einsum('qmk,qmc->qkc', influence.to(feats.dtype), gather_rows(feats, neighbours))
        out = full_precision(at_kernel.flatten(1) @ self.weight.flatten(0, 1))
        if self.normalize:
            out = out / (influence > 0).any(-1).sum(1, keepdim=True).clamp_min(1)
        return out
