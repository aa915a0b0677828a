"""The confidence of the item at a given rank within its class: exact, for lists of items."""

from __future__ import annotations

import torch
from torch import Tensor

FALLBACK_FLOOR = 0.3
"""No class without predictions gets a lower threshold than this; see :func:`with_fallback`."""


def portion_ranks(counts: Tensor, portion: float | Tensor) -> Tensor:
    """floor(portion_c * n_c), int64 (K,), never above n_c.

    Args:
        counts: (K,) number of items predicted as each class.
        portion: in [0, 1]; one number or (K,).
    """
    share = torch.as_tensor(portion, dtype=torch.float64, device=counts.device)
    return torch.minimum((share * counts.double()).floor().long(), counts.long())


def rank_thresholds(confidence: Tensor, predicted: Tensor, ranks: Tensor) -> Tensor:
    """The confidence at 1-based rank r_c, from the top, among the items predicted as c.

    Keeping what is at least as confident keeps r_c items of the class (more where confidences tie).

    Args:
        confidence: (P,) float.
        predicted: (P,) int64 in [0, K).
        ranks: (K,) int64, at most the number of items of the class; see :func:`portion_ranks`.

    Returns:
        (K,) of the dtype of ``confidence``; NaN where the rank is 0 (nothing predicted, or less than one item to keep).

    Example: confidences .9 .8 .7 .6 .5 of one class, portion .4: rank 2, threshold .8.
    """
    classes = ranks.numel()
    order = confidence.argsort(descending=True)
    order = order[predicted[order].argsort(stable=True)]
    counts = torch.zeros(classes, dtype=torch.int64, device=ranks.device)
    counts.scatter_add_(0, predicted, torch.ones_like(predicted))
    if confidence.numel() == 0:
        return confidence.new_full((classes,), torch.nan)
    places = counts.cumsum(0) - counts + ranks - 1
    values = confidence[order[places.clamp(0, confidence.numel() - 1)]]
    return torch.where(ranks > 0, values, torch.nan)


def with_fallback(thresholds: Tensor, previous: Tensor, floor: float = FALLBACK_FLOOR) -> Tensor:
    """Give classes without a threshold (NaN) their last one, not below ``floor``.

    A threshold of 1 there, as in the released code of CBST, means that the class is never labelled again.
    """
    return torch.where(torch.isnan(thresholds), previous.to(thresholds).clamp_min(floor), thresholds)
