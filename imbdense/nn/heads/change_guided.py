"""Change-guided attention (CGA): the change decoder tells the semantic decoders where to look."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.core.checks import check_choice

KINDS = ('mul', 'residual', 'prob', None)


class ChangeGuidedAttention(nn.Module):
    """Weigh the maps f_i of one date with the maps p_i of the change decoder::

        'mul'       f * sigmoid(p)          element by element, no parameters (the paper's code)
        'residual'  f * (1 + sigmoid(W p))  W a 1 x 1 convolution per stage
        'prob'      f * (1 + P(changed))    the change probability, shrunk to the stage
        None        f

    Args:
        dims: channels per stage.
        kind: see above.
        grad_to_bcd: ``False`` = the semantic losses do not reach the change decoder through this attention.

    Source: Wijenayake et al., Mamba-FCS, 2025.
    """

    def __init__(self, dims: Sequence[int], kind: str | None = 'mul', grad_to_bcd: bool = True) -> None:
        super().__init__()
        self.kind = check_choice('cga', kind, KINDS, owner='ChangeGuidedAttention')
        self.grad_to_bcd = bool(grad_to_bcd)
        self.convs = nn.ModuleList(nn.Conv2d(dim, dim, 1) for dim in dims) if kind == 'residual' else None

    def forward(self, maps: Sequence[Tensor], guides: Sequence[Tensor], logits: Tensor) -> list[Tensor]:
        """Maps (N, C_i, H_i, W_i), guides of the same shapes, change logits (N, 2, H, W) -> weighed maps."""
        if self.kind is None:
            return list(maps)
        if not self.grad_to_bcd:
            guides, logits = [guide.detach() for guide in guides], logits.detach()
        if self.kind == 'mul':
            return [f * torch.sigmoid(p) for f, p in zip(maps, guides)]
        if self.convs is not None:
            return [f * (1 + torch.sigmoid(conv(p))) for f, p, conv in zip(maps, guides, self.convs)]
        changed = 1 - logits.softmax(1)[:, :1]
        return [f * (1 + F.interpolate(changed, size=f.shape[-2:], mode='bilinear').to(f.dtype)) for f in maps]
