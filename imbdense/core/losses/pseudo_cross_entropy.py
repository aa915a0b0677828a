"""Cross-entropy against pseudo-labels, most of which may be missing."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from imbdense.core.checks import check_choice
from imbdense.core.losses.cross_entropy import softmax_nll

Norm = Literal['all', 'kept', 'class']
NORMS: tuple[str, ...] = ('all', 'kept', 'class')


def pseudo_cross_entropy(
    pred: Tensor,
    label: Tensor,
    *,
    weight: Tensor | None = None,
    valid: Tensor | None = None,
    norm: str = 'all',
    ignore_index: int = 255,
) -> Tensor:
    """Cross-entropy over the pixels that have a pseudo-label.

    With l_i the cross-entropy of pixel i, w_i its weight, kept = valid pixels whose label is a class::

        'all'    sum_kept w_i l_i / number of valid pixels       (FixMatch: few labels, small loss)
        'kept'   sum_kept w_i l_i / number of kept pixels        (every batch counts alike)
        'class'  mean over the classes c among the kept of  sum_{kept, label c} w_i l_i / number of them

    Args:
        pred: logits (N, K, *spatial).
        label: (N, *spatial) integers; ``ignore_index`` where no label was accepted.
        weight: (N, *spatial) >= 0; ``None`` = 1. It does not enter the divisors.
        valid: (N, *spatial) bool, False where the image was padded; ``None`` = everywhere.
        norm: 'all', 'kept' or 'class'.
        ignore_index: see ``label``.

    Returns:
        float32 scalar (float64 for float64 logits); an exact 0 with a graph when nothing is kept.

    Raises:
        ValueError: unknown ``norm``, shapes that disagree, or a label that is no class.

    Source: Sohn et al., FixMatch, NeurIPS 2020; Yang et al., UniMatch, CVPR 2023 ('all').
    """
    check_choice('norm', norm, NORMS, owner='pseudo_cross_entropy')
    if valid is not None:
        label = torch.where(valid, label, ignore_index)
    loss, safe, kept = softmax_nll(pred, label, ignore_index=ignore_index, owner='pseudo_cross_entropy')
    mask = kept.to(loss.dtype)
    terms = loss * mask if weight is None else loss * mask * weight.to(loss.dtype)
    if norm == 'class':
        return _class_mean(terms, safe, mask, pred.shape[1])
    if norm == 'kept':
        return terms.sum() / mask.sum().clamp_min(1.0)
    number = terms.new_tensor(max(terms.numel(), 1)) if valid is None else valid.sum().to(terms.dtype).clamp_min(1.0)
    return terms.sum() / number


def _class_mean(terms: Tensor, safe: Tensor, mask: Tensor, classes: int) -> Tensor:
    """Mean over the classes present of the mean of their terms."""
    index = safe.flatten()
    sums = terms.new_zeros(classes).scatter_add(0, index, terms.flatten())
    numbers = mask.new_zeros(classes).scatter_add(0, index, mask.flatten())
    present = (numbers > 0).to(terms.dtype)
    return (sums / numbers.clamp_min(1.0)).sum() / present.sum().clamp_min(1.0)
