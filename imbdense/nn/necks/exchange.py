"""Exchange of features between two dates: every p-th channel or column changes places, without parameters.

Source: Fang, Li, Li, Changer: feature interaction is what you need for change detection, IEEE TGRS 2023.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_integer

Exchange = Literal['channel', 'spatial']
EXCHANGES: tuple[str, ...] = ('channel', 'spatial')
AXES = {'channel': 1, 'spatial': 3}


def exchange_dates(first: Tensor, second: Tensor, kind: Exchange, p: int = 2) -> tuple[Tensor, Tensor]:
    """Give every p-th channel ('channel') or column ('spatial') of each date to the other.

    Applied twice it is the identity; with the dates swapped, so is the result.

    Args:
        first, second: (N, C, H, W). p: >= 1; channels or columns 0, p, 2 p, ... are exchanged.
    """
    check_choice('kind', kind, EXCHANGES, owner='exchange_dates')
    check_integer('p', p, low=1, owner='exchange_dates')
    axis = AXES[kind]
    shape = [1] * first.ndim
    shape[axis] = first.shape[axis]
    moves = (torch.arange(first.shape[axis], device=first.device) % p == 0).view(shape)
    return torch.where(moves, second, first), torch.where(moves, first, second)


def exchange_halves(batch: Tensor, kind: Exchange, p: int = 2) -> Tensor:
    """:func:`exchange_dates` of a batch (2 N, C, H, W) that holds date 1 in its first half and date 2 in the other.

    Raises:
        ValueError: an odd number of images, or no map.
    """
    if batch.ndim != 4 or batch.shape[0] % 2:
        raise ValueError(
            f'exchange_halves: expected (2 N, C, H, W), both dates in one batch, but got {tuple(batch.shape)}.'
        )
    return torch.cat(exchange_dates(*batch.chunk(2), kind, p))
