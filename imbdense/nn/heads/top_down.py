"""The path from the coarsest to the finest map which the change and the semantic decoder share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.core.checks import check_choice
from imbdense.nn.heads.blocks import PyramidFusion, ResBlockSE
from imbdense.nn.vss_block import VSSBlock

CLASSIFIERS = ('conv', 'pf_official')


class VSSTopDown(nn.Module):
    """From coarse to fine: ``x_i = VSS(ResBlockSE(q_i + up(PF(x_{i+1}))))``, ``x_last = VSS(q_last)``.

    Args:
        dims: channels of the maps, finest first.
        final_block: a further ResBlockSE on the finest map.
        drop_path, mlp_ratio, d_state, gated, scan: of the blocks, see :class:`imbdense.nn.vss_block.VSSBlock`.
    """

    def __init__(
        self,
        dims: Sequence[int],
        final_block: bool = False,
        drop_path: float = 0.1,
        mlp_ratio: float = 4.0,
        d_state: int = 1,
        gated: bool = False,
        scan: str = 'auto',
    ) -> None:
        super().__init__()
        self.dims = tuple(dims)
        self.blocks = nn.ModuleList(
            VSSBlock(dim, drop_path, mlp_ratio, d_state=d_state, gated=gated, scan=scan) for dim in dims
        )
        self.lifts = nn.ModuleList(PyramidFusion(wide, narrow) for narrow, wide in zip(self.dims, self.dims[1:]))
        self.smooth = nn.ModuleList(ResBlockSE(dim) for dim in self.dims[:-1])
        self.final = ResBlockSE(self.dims[0]) if final_block else nn.Identity()

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps (N, C_i, H_i, W_i), finest first -> maps of the same shapes."""
        found: list[Tensor] = []
        for i in range(len(maps) - 1, -1, -1):
            x = maps[i]
            if found:
                coarse = F.interpolate(self.lifts[i](found[0]), size=x.shape[-2:], mode='bilinear')
                x = self.smooth[i](coarse + x)
            found.insert(0, self.blocks[i](x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).contiguous())
        found[0] = self.final(found[0])
        return found


def make_classifier(kind: str, channels: int, classes: int, owner: str = '') -> nn.Module:
    """'conv': a 1 x 1 convolution. 'pf_official': the PyramidFusion that the released Mamba-FCS weights need."""
    build: dict[str, Callable[[], nn.Module]] = {
        'conv': lambda: nn.Conv2d(channels, classes, 1),
        'pf_official': lambda: PyramidFusion(channels, classes, hidden=3 * classes // 16),
    }
    return build[check_choice('classifier', kind, CLASSIFIERS, owner=owner)]()
