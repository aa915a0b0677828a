"""Blocks of the sparse networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from imbdense.nn.sparse.conv import SubMConv3d
from imbdense.nn.sparse.layers import RECOMPUTING, PointBatchNorm, PointLinear, PointReLU
from imbdense.nn.sparse.sparse_points import SparsePoints


class ResidualBlock(nn.Module):
    """``ReLU(shortcut(x) + BN(conv(ReLU(BN(conv(x))))))``; a 1×1 shortcut with BN where the widths differ."""

    def __init__(self, in_channels: int, out_channels: int, momentum: float) -> None:
        super().__init__()
        self.conv1 = SubMConv3d(in_channels, out_channels, bias=False)
        self.bn1 = PointBatchNorm(out_channels, momentum)
        self.conv2 = SubMConv3d(out_channels, out_channels, bias=False)
        self.bn2 = PointBatchNorm(out_channels, momentum)
        self.relu = PointReLU()
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = nn.Sequential(PointLinear(in_channels, out_channels, bias=False),
                                          PointBatchNorm(out_channels, momentum))

    def forward(self, points: SparsePoints) -> SparsePoints:
        """(N, Cin) -> (N, Cout)."""
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(points)))))
        return self.relu(out.replace(out.feats + self.shortcut(points).feats))


def conv_bn_relu(conv: nn.Module, channels: int, momentum: float) -> nn.Sequential:
    """A convolution with what usually follows it."""
    return nn.Sequential(conv, PointBatchNorm(channels, momentum), PointReLU())


def recomputed(module: Callable[[SparsePoints], SparsePoints], points: SparsePoints) -> SparsePoints:
    """``module(points)`` that keeps its input alone and computes the rest again in backward (Chen et al., 2016).

    ``module`` must keep the voxels. Batch norms learn their statistics once.
    """

    def run(feats: Tensor) -> Tensor:
        return module(points.replace(feats)).feats

    return points.replace(checkpoint(run, points.feats, use_reentrant=False, context_fn=_contexts))


def _contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """What surrounds the first and the second computation."""
    return nullcontext(), _recomputing()


@contextmanager
def _recomputing() -> Iterator[None]:
    """Tell batch norms that they see this batch again."""
    token = RECOMPUTING.set(True)
    try:
        yield
    finally:
        RECOMPUTING.reset(token)
