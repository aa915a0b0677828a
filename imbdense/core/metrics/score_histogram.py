"""From dense logits to per-class score histograms, in chunks, on the device of the logits."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_choice
from imbdense.core.metrics.ordered_key import ordered_key

SCORES = ('prob', 'margin', 'logit')
CHUNK = 4_000_000
"""Scores per chunk; the temporary arrays of a chunk stay below 64 MiB."""


def dense_scores(logits: Tensor, kind: str = 'prob') -> Tensor:
    """One-vs-rest scores of raw logits (C, n), in float32; ``'logit'`` in the dtype of the logits.

    Args:
        logits: (C, n). With C = 1 the channel is a sigmoid logit.
        kind: ``'prob'`` softmax probability (sigmoid for C = 1). ``'margin'`` z_c - logsumexp_{j != c} z_j, the
            log-odds: the same order without saturation at 0 and 1, better for very rare classes. ``'logit'`` z_c.
    """
    check_choice('score', kind, SCORES, owner='dense_scores')
    if kind == 'logit':
        return logits
    values = logits.float()
    if kind == 'margin' and values.shape[0] == 1:
        return values
    if values.shape[0] == 1:
        return values.sigmoid()
    if kind == 'prob':
        return values.softmax(dim=0)
    log_p = values.log_softmax(dim=0)
    margin = log_p - torch.log1p(-log_p.exp())
    top, winner = values.max(dim=0, keepdim=True)  # 1 - p loses its digits for the winner: sum the others instead
    others = values.scatter(0, winner, -torch.inf).logsumexp(dim=0, keepdim=True)
    return margin.scatter(0, winner, top - others)


def score_histogram(scores: Tensor, row_of_truth: Tensor, valid: Tensor, *, bits: int = 16) -> tuple[Tensor, Tensor]:
    """Histograms of the scores of positives and negatives, one-vs-rest, for every row.

    Args:
        scores: floats (K, n), one row per class.
        row_of_truth: int64 (n,): the row whose positive this position is; any value outside [0, K) makes it a negative
            of all rows.
        valid: bool (n,): positions to count (not ignored). Positions with a NaN score must be left out by the caller.
        bits: histogram bins = 2**bits, see ``ordered_key``.

    Returns:
        (positives, negatives), int64 (K, 2**bits) on the device of ``scores``, bins in ascending order of the score.
    """
    rows, size = scores.shape
    bins = 1 << bits
    wide = rows * (bins + 1) >= 2**31
    every = torch.zeros(rows * (bins + 1), dtype=torch.int64, device=scores.device)
    hits = torch.zeros_like(every)
    offset = torch.arange(rows, device=scores.device, dtype=torch.int64 if wide else torch.int32)[:, None] * (bins + 1)
    step = max(1, CHUNK // max(rows, 1))
    for begin in range(0, size, step):
        part = slice(begin, begin + step)
        keep, truth = valid[part], row_of_truth[part]
        key = ordered_key(scores[:, part], bits)
        if wide:
            key = key.long()
        key.masked_fill_(~keep, bins)  # uncounted positions go to an extra bin that is cut off
        key += offset
        every += torch.bincount(key.view(-1), minlength=every.numel())
        known = keep & (truth >= 0) & (truth < rows)
        own = key.gather(0, truth.clamp(0, rows - 1)[None])[0]
        hits += torch.bincount(torch.where(known, own, bins), minlength=hits.numel())
    positives = hits.view(rows, bins + 1)[:, :bins]
    return positives, every.view(rows, bins + 1)[:, :bins] - positives


def coarsen(histogram: Tensor, bits: int) -> Tensor:
    """Merge neighbouring bins (…, 2**k) down to (…, 2**bits); the order of the scores is kept."""
    return histogram.reshape(*histogram.shape[:-1], 1 << bits, -1).sum(dim=-1)
