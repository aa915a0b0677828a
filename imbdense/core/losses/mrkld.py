"""Cross-entropy on pseudo-labels with a model regulariser: no prediction may become too sure of a noisy label."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from imbdense.core.checks import check_number, split_ignored
from imbdense.core.reduction import full_precision, reduce_loss


def mrkld_loss(
    pred: Tensor,
    target: Tensor,
    *,
    alpha: float = 0.1,
    class_weight: Tensor | None = None,
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Cross-entropy plus the divergence of the prediction from the uniform distribution (MRKLD)::

        l_i = -log p_y + alpha * sum_c -log p_c / K

    over the elements that have a pseudo-label.

    Args:
        pred: logits (N, K, *spatial) or (P, K).
        target: pseudo-labels (N, *spatial) or (P,) int64.
        alpha: >= 0; 0 is cross-entropy.
        class_weight: (K,); ``None`` = 1.
        ignore_index, weight, normalizer, avg_factor, reduction: see :mod:`imbdense.core.losses`.

    Returns:
        float32 scalar, or the map for ``reduction='none'``; 0 with a graph when nothing is labelled.

    Example: p = (.75, .25), y = 0, alpha = .1: .2877 + .1 * (.2877 + 1.3863) / 2 = .3714.

    The released training multiplies by the weight twice (once per image, once in the sum), so its .1 acts as alpha =
    .01 here, and divides the cross-entropy by the labelled elements of source and target together.

    Source: Zou et al., Confidence Regularized Self-Training (CRST), ICCV 2019.
    """
    owner = 'mrkld_loss'
    strength = check_number('alpha', alpha, low=0.0, owner=owner)
    safe, valid = split_ignored(pred, target, ignore_index, owner=owner)
    log_prob = torch.log_softmax(full_precision(pred), 1)
    own = log_prob.gather(1, safe.unsqueeze(1)).squeeze(1)
    loss = torch.where(valid, -own - strength * log_prob.mean(1), 0.0)
    options: dict[str, Any] = {
        'weight': weight, 'normalizer': normalizer, 'avg_factor': avg_factor, 'reduction': reduction
    }
    weights = None if class_weight is None else class_weight.to(loss)[safe]
    return reduce_loss(loss, valid=valid, class_weight=weights, **options)
