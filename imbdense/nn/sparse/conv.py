"""Sparse convolutions on plain torch: gather, multiply, add, tap by tap."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from imbdense.core.checks import check_choice, check_integer
from imbdense.core.reduction import full_precision
from imbdense.nn.sparse.kernel_map import Pairs, down_map, submanifold_map
from imbdense.nn.sparse.sparse_points import SparsePoints
from imbdense.nn.sparse.spconv_backend import require_spconv, spconv_conv

BACKENDS = ('torch', 'spconv')


def sparse_conv(feats: Tensor, weight: Tensor, pairs: Sequence[Pairs], rows: int) -> Tensor:
    """``out[d] = Σ_t feats[s] W_t`` over the pairs (s, d) of every tap t, (rows, Cout) float32 (float64 stays).

    Products are computed in autocast's dtype, sums (of the gradients, too) in full precision. Within a tap every row
    occurs at most once on each side, and taps follow each other in a fixed order: the result is deterministic, on a
    GPU as well. Backward keeps nothing but ``feats`` and ``weight``; beyond them the largest tap is in memory at once.

    Args:
        feats: (N, Cin). weight: (T, Cin, Cout). pairs: one per tap. rows: number of destinations.
    """
    device = feats.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else full_precision(feats).dtype
    with torch.autocast(device, enabled=False):
        return _GatherMultiplyAdd.apply(feats.to(dtype), weight.to(dtype), pairs, rows)


class _GatherMultiplyAdd(torch.autograd.Function):
    """The work of :func:`sparse_conv`; features and weights have one dtype."""

    @staticmethod
    def forward(ctx: Any, feats: Tensor, weight: Tensor, pairs: Sequence[Pairs], rows: int) -> Tensor:
        ctx.save_for_backward(feats, weight)
        ctx.pairs = pairs
        out = _zeros(feats, rows, weight.shape[2])
        gathered, product = _buffers(pairs, feats, weight)
        for tap, (source, target) in _occupied(pairs):
            size = len(source)
            torch.index_select(feats, 0, source, out=gathered[:size])
            torch.mm(gathered[:size], weight[tap], out=product[:size])
            out.index_add_(0, target.long(), product[:size].to(out.dtype))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        feats, weight = ctx.saved_tensors
        grad = grad.to(feats.dtype)
        grad_feats, grad_weight = _zeros(feats, *feats.shape), torch.zeros_like(weight)
        gathered, product = _buffers(ctx.pairs, feats, weight)
        for tap, (source, target) in _occupied(ctx.pairs):
            size = len(source)
            torch.index_select(grad, 0, target, out=product[:size])
            torch.index_select(feats, 0, source, out=gathered[:size])
            torch.mm(gathered[:size].t(), product[:size], out=grad_weight[tap])
            torch.mm(product[:size], weight[tap].t(), out=gathered[:size])
            grad_feats.index_add_(0, source.long(), gathered[:size].to(grad_feats.dtype))
        return grad_feats.to(feats.dtype), grad_weight, None, None


def _occupied(pairs: Sequence[Pairs]) -> Iterator[tuple[int, Pairs]]:
    """Taps that connect anything."""
    return ((tap, pair) for tap, pair in enumerate(pairs) if len(pair[0]))


def _zeros(like: Tensor, rows: int, columns: int) -> Tensor:
    """Room for sums, in full precision."""
    return torch.zeros(rows, columns, dtype=full_precision(like[:0]).dtype, device=like.device)


def _buffers(pairs: Sequence[Pairs], feats: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Room for the rows of the largest tap before and behind the product; fresh memory per tap would cost more."""
    rows = max((len(source) for source, _ in pairs), default=0)
    return feats.new_empty(rows, weight.shape[1]), feats.new_empty(rows, weight.shape[2])


class _SparseConv(nn.Module):
    """Weights (taps, Cin, Cout) and bias (Cout) of a sparse convolution, started as He et al. with fan-in taps·Cin.

    ``backend``: 'torch', or 'spconv' (:mod:`imbdense.nn.sparse.spconv_backend`); set by :func:`set_backend`.
    """

    backend = 'torch'

    def __init__(self, in_channels: int, out_channels: int, taps: int, bias: bool) -> None:
        super().__init__()
        owner = type(self).__name__
        self.in_channels = check_integer('in_channels', in_channels, low=1, owner=owner)
        self.out_channels = check_integer('out_channels', out_channels, low=1, owner=owner)
        self.weight = nn.Parameter(torch.empty(taps, in_channels, out_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        nn.init.normal_(self.weight, std=math.sqrt(2.0 / (taps * in_channels)))

    def _convolve(self, points: SparsePoints, pairs: Sequence[Pairs], rows: int) -> Tensor:
        """(rows, Cout)."""
        if points.feats.shape[1] != self.in_channels:
            raise ValueError(f'{type(self).__name__}: expects {self.in_channels} channels, but the points have '
                             f'{points.feats.shape[1]}.')
        if self.backend == 'spconv':
            out = spconv_conv(points.feats, self.weight, pairs, rows)
        else:
            out = sparse_conv(points.feats, self.weight, pairs, rows)
        return out if self.bias is None else out + self.bias

    def extra_repr(self) -> str:
        """For ``print(model)``."""
        return f'{self.in_channels}, {self.out_channels}, bias={self.bias is not None}'


class SubMConv3d(_SparseConv):
    """Submanifold convolution: outputs exactly at the input voxels, missing neighbours count as zero.

    ``out[p] = b + Σ_o W_o in[p + o]`` over offsets o of a centred odd kernel; on a full grid it equals
    ``torch.nn.Conv3d`` with padding ``dilation·(kernel // 2)`` (weight (k, k, k, Cin, Cout) flattened over taps).

    Args:
        kernel: odd edge of the kernel. dilation: distance of the taps in voxels.

    Source: Graham, Engelcke, van der Maaten, CVPR 2018.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3, dilation: int = 1,
                 bias: bool = True) -> None:
        if check_integer('kernel', kernel, low=1, owner='SubMConv3d') % 2 == 0:
            raise ValueError(f'SubMConv3d: kernel must be odd, but got {kernel}; DownConv3d has the even kernel.')
        super().__init__(in_channels, out_channels, kernel**3, bias)
        self.kernel = kernel
        self.dilation = check_integer('dilation', dilation, low=1, owner='SubMConv3d')

    def forward(self, points: SparsePoints) -> SparsePoints:
        """(N, Cin) -> (N, Cout) at the same voxels."""
        pairs = submanifold_map(points, self.kernel, self.dilation)
        return points.replace(self._convolve(points, pairs, len(points)))


class DownConv3d(_SparseConv):
    """Convolution with kernel 2 and stride 2: an output where a voxel of twice the size holds at least one input.

    ``out[q] = b + Σ_o W_o in[2q + o]``, o in {0, 1}³, x slowest; coordinates are halved, rounded down.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 8, bias)

    def forward(self, points: SparsePoints) -> SparsePoints:
        """(N, Cin) at stride s -> (M, Cout) at stride 2s, M <= N."""
        level = down_map(points)
        out = self._convolve(points, level.pairs, len(level.coarse))
        return SparsePoints(level.coarse, out, 2 * points.stride, points.maps, points.samples)


class UpConv3d(_SparseConv):
    """Transposed convolution back to the voxels that a :class:`DownConv3d` came from.

    ``out[2q + o] = b + W_o in[q]``: every fine voxel has one parent.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 8, bias)

    def forward(self, points: SparsePoints) -> SparsePoints:
        """(M, Cin) at stride 2s -> (N, Cout) at stride s.

        Raises:
            ValueError: the points did not come through a ``DownConv3d`` from that stride.
        """
        level = points.maps.get(('down', points.stride // 2))
        if level is None or len(level.coarse) != len(points):
            raise ValueError(f'UpConv3d: no DownConv3d led to stride {points.stride}; there is no level to go back to.')
        out = self._convolve(points, [(coarse, fine) for fine, coarse in level.pairs], len(level.fine))
        return SparsePoints(level.fine, out, points.stride // 2, points.maps, points.samples)


def set_backend(module: nn.Module, backend: str) -> None:
    """Let all sparse convolutions in ``module`` compute with 'torch' or 'spconv'; parameters stay as they are.

    Raises:
        ImportError: 'spconv' is asked for and not installed.
    """
    if check_choice('backend', backend, BACKENDS, owner=type(module).__name__) == 'spconv':
        require_spconv()
    for part in module.modules():
        if isinstance(part, _SparseConv):
            part.backend = backend
