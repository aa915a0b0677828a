"""VMamba's backbone (VSSM, 0229): a pyramid of selective-scan blocks, on any device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.nn.vss_block import VSSBlock

OWNER = 'VSSM'


class VSSMArch(NamedTuple):
    """Sizes of a published model."""

    width: int
    depths: tuple[int, ...]
    drop_path: float
    mlp_ratio: float = 4.0
    gated: bool = False


ARCHS = {
    'mini': VSSMArch(96, (2, 2, 4, 2), 0.2, mlp_ratio=0.0, gated=True),
    'tiny': VSSMArch(96, (2, 2, 4, 2), 0.2),
    'small': VSSMArch(96, (2, 2, 15, 2), 0.3),
    'base': VSSMArch(128, (2, 2, 15, 2), 0.6),
}


class VSSM(nn.Module):
    """Stem of two strided convolutions, then stages of :class:`VSSBlock` with strided convolutions between them.

    Maps of strides 4, 8, 16, 32 with ``width * 2**i`` channels, each through a LayerNorm of its own ("outnorm"). Odd
    and non-square images are allowed: every halving rounds up.

    Init: Linear truncated normal 0.02 and zero bias, LayerNorm 1 and 0, convolutions and the scan as torch and
    :class:`imbdense.nn.ss2d.SS2D` start them.

    Args:
        arch: one of :data:`ARCHS`: sizes of the published models.
        dims: channels per stage instead (any number of stages); depths: blocks per stage instead.
        in_channels: bands of the image.
        d_state: S of the recurrence.
        gated, mlp_ratio, drop_path_rate: instead of those of ``arch``; drop path rises linearly from 0 over all blocks.
        init: of the scan.
        out_indices: stages whose maps are returned.
        scan: backend of the scan, see :func:`imbdense.core.scan.selective_scan`.

    Source: Liu et al., VMamba, NeurIPS 2024.
    """

    def __init__(
        self,
        arch: str = 'tiny',
        dims: Sequence[int] | None = None,
        depths: Sequence[int] | None = None,
        in_channels: int = 3,
        d_state: int = 1,
        gated: bool | None = None,
        mlp_ratio: float | None = None,
        drop_path_rate: float | None = None,
        init: str = 'v0',
        out_indices: Sequence[int] = (0, 1, 2, 3),
        scan: str = 'auto',
    ) -> None:
        super().__init__()
        sizes = ARCHS[check_choice('arch', arch, ARCHS, owner=OWNER)]
        depths = tuple(sizes.depths if depths is None else depths)
        self.dims = tuple(sizes.width * 2**i for i in range(len(depths))) if dims is None else tuple(dims)
        if len(self.dims) != len(depths):
            raise ValueError(f'{OWNER}: dims and depths must have one number per stage, but are {self.dims}, {depths}.')
        check_integer('in_channels', in_channels, low=1, owner=OWNER)
        self.out_indices = tuple(check_integer('out_indices', i, low=0, high=len(depths) - 1) for i in out_indices)
        rate = sizes.drop_path if drop_path_rate is None else drop_path_rate
        check_number('drop_path_rate', rate, low=0.0, owner=OWNER)
        rates = iter([rate * number / max(sum(depths) - 1, 1) for number in range(sum(depths))])
        options = {
            'd_state': d_state, 'gated': sizes.gated if gated is None else gated, 'init': init, 'scan': scan,
            'mlp_ratio': sizes.mlp_ratio if mlp_ratio is None else mlp_ratio,
        }  # fmt: skip
        self.stem = Stem(in_channels, self.dims[0])
        self.stages = nn.ModuleList(
            nn.Sequential(*(VSSBlock(dim, drop_path=next(rates), **options) for _ in range(depth)))
            for dim, depth in zip(self.dims, depths)
        )
        self.downsamples = nn.ModuleList(
            Halving(narrow, wide) for narrow, wide in zip(self.dims[: max(self.out_indices)], self.dims[1:])
        )
        del self.stages[max(self.out_indices) + 1 :]
        self.out_norms = nn.ModuleDict({str(i): nn.LayerNorm(self.dims[i]) for i in self.out_indices})
        self.apply(_init_linear_and_norm)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(N, in_channels, H, W) -> one (N, C_i, ceil(H / 2^(i+2)), ceil(W / 2^(i+2))) per stage asked for."""
        x, maps = self.stem(images), []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in self.out_indices:
                maps.append(self.out_norms[str(i)](x).permute(0, 3, 1, 2).contiguous())
            if i < len(self.downsamples):
                x = self.downsamples[i](x)
        return tuple(maps)


class Stem(nn.Module):
    """(N, B, H, W) -> (N, H / 4, W / 4, C), sizes rounded up: conv 3x3 / 2, LN, GELU, conv 3x3 / 2, LN."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.first = Halving(in_channels, channels // 2)
        self.second = Halving(channels // 2, channels)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        return self.second(nn.functional.gelu(self.first(images.permute(0, 2, 3, 1))))


class Halving(nn.Module):
    """Convolution 3x3 of stride 2 and LayerNorm: (N, H, W, C) -> (N, H / 2, W / 2, C'), sizes rounded up."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.norm(self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


def _init_linear_and_norm(module: nn.Module) -> None:
    """Truncated normal 0.02 for Linear; one and zero for LayerNorm."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
