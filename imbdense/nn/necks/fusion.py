"""Two dates of one feature map become one."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from imbdense.core.checks import check_choice

Fusion = Literal['diff', 'concat', 'conc+diff', 'last']
FUSIONS: tuple[str, ...] = ('diff', 'concat', 'conc+diff', 'last')


def fuse(first: Tensor, second: Tensor, kind: Fusion) -> Tensor:
    """Join the features (N, C, H, W) of two dates.

    * ``diff``: |a - b|, C channels; does not know which date is the earlier;
    * ``concat``: [a, b], 2 C channels;
    * ``conc+diff``: [a, b, |a - b|], 3 C channels;
    * ``last``: b, C channels (what the decoder of FC-Siam starts from).
    """
    check_choice('kind', kind, FUSIONS, owner='fuse')
    if kind == 'last':
        return second
    if kind == 'concat':
        return torch.cat([first, second], dim=1)
    difference = (first - second).abs()
    return difference if kind == 'diff' else torch.cat([first, second, difference], dim=1)
