"""Land cover of two dates should agree where nothing changed: the three forms in use."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from imbdense.core.checks import check_choice, check_index_shape
from imbdense.core.reduction import full_precision

KINDS = ('mse', 'mse_both', 'cosine')
OWNER = 'unchanged_consistency_loss'


def unchanged_consistency_loss(
    logits_1: Tensor, logits_2: Tensor, change: Tensor, *, kind: str = 'mse', ignore_index: int = 255
) -> Tensor:
    """With p1, p2 the softmax of the land cover at both dates, u = 1 where unchanged and c = 1 where changed::

        'mse'       sum u (p1 - p2)^2 / (all pixels * S)                              Mamba-FCS, ChangeMamba
        'mse_both'  sum [u (p1 - p2)^2 + c (1 - (p1 - p2)^2)] / (all pixels * S)      torchange's ChangeMask
        'cosine'    sum [u (1 - cos(p1, p2)) + c max(0, cos(p1, p2))] / valid pixels  Bi-SRNet

    The first two divide by *all* pixels and channels, ignored ones included, as their sources do. Where everything is
    ignored the result is 0 with a graph.

    Args:
        logits_1, logits_2: (N, S, H, W).
        change: (N, H, W), 0 = unchanged, other values = changed.
        kind: see above.
        ignore_index: change labels that count nothing.

    Returns:
        float32 scalar (float64 for float64 logits), also under autocast.

    Sources: Wijenayake et al., Mamba-FCS, 2025; Zheng et al., ChangeMask, 2022 (the term is in torchange's code, not
    in the paper); Ding et al., Bi-SRNet, TGRS 2022.
    """
    check_choice('kind', kind, KINDS, owner=OWNER)
    check_index_shape(logits_1, change, owner=OWNER)
    first, second = (full_precision(logits).softmax(1) for logits in (logits_1, logits_2))
    valid = change != ignore_index
    unchanged = (valid & (change == 0)).to(first.dtype)
    changed = (valid & (change != 0)).to(first.dtype)
    if kind == 'cosine':
        alike = F.cosine_similarity(first, second, dim=1)
        terms = unchanged * (1 - alike) + changed * alike.clamp_min(0)
        return terms.sum() / valid.to(terms.dtype).sum().clamp_min(1.0)
    square = (first - second).square()
    terms = unchanged.unsqueeze(1) * square
    if kind == 'mse_both':
        terms = terms + changed.unsqueeze(1) * (1 - square)
    return terms.sum() / max(terms.numel(), 1)
