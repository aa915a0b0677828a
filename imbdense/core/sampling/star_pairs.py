"""Pairs of unrelated images as examples of change: a partner for each, and what "changed" between them.

Source: Zheng et al., Change is everywhere: single-temporal supervised object change detection in remote sensing
imagery, ICCV 2021 (STAR); the least share of change is ours.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from imbdense.core.checks import check_number


def change_between(first: Tensor, second: Tensor, ignore_index: int = 255) -> Tensor:
    """1 where two label maps differ, 0 where they agree, ``ignore_index`` where either is ignored; same dtype."""
    known = (first != ignore_index) & (second != ignore_index)
    return torch.where(known, (first != second).to(first.dtype), ignore_index)


def change_shares(labels: Tensor, ignore_index: int = 255) -> Tensor:
    """(N, N) share of the pixels known in both images that differ; 0 where there is none. Symmetric, diagonal 0.

    Args:
        labels: (N, ...) integers.
    """
    flat = labels.flatten(1)
    known = (flat != ignore_index).float()
    same = torch.zeros(len(flat), len(flat), device=flat.device)
    for value in torch.unique(flat):
        if int(value) != ignore_index:
            member = (flat == value).float()
            same += member @ member.T
    both = known @ known.T
    return torch.where(both > 0, 1.0 - same / both.clamp_min(1.0), 0.0)


def draw_partners(shares: Tensor, least_change: float, generator: torch.Generator) -> Tensor:
    """(N,) a partner for every image, each image once, none its own: int64 on the CPU.

    Uniform over all such permutations. Where its mean share of change is below ``least_change``, the permutation with
    the most change is taken instead: with a rare class most pairs of a batch would agree almost everywhere.

    Args:
        shares: (N, N) of :func:`change_shares`, N >= 2. least_change: in [0, 1]; 0 = always the random one.

    Raises:
        ValueError: a single image.
    """
    check_number('least_change', least_change, low=0.0, high=1.0, owner='draw_partners')
    count = len(shares)
    if count < 2:
        raise ValueError('draw_partners: a pair needs at least 2 images in the batch; raise batch_size.')
    own = torch.arange(count)
    partner = own
    while bool((partner == own).any()):
        partner = torch.randperm(count, generator=generator)
    table = shares.detach().cpu().double().numpy()
    if table[own, partner].mean() >= least_change:
        return partner
    np.fill_diagonal(table, -1e6)
    return torch.from_numpy(linear_sum_assignment(table, maximize=True)[1]).long()
