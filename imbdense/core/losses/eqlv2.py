"""Equalization loss v2: weigh the two gradients of each class so that a rare one is not only pushed down."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import split_ignored
from imbdense.core.losses.sigmoid import shifted_sigmoid_loss, with_sample_weight
from imbdense.core.reduction import full_precision


def eqlv2_weights(
    ratio: Tensor, channels: int, *, mu: float = 0.8, gamma: float = 12.0, alpha: float = 4.0
) -> tuple[Tensor, Tensor]:
    """Weights of the positive and of the negative term of each channel, (channels,) float32 each::

        negative_c = 1 / (1 + exp(-gamma (ratio_c - mu))),     positive_c = 1 + alpha (1 - negative_c)

    Args:
        ratio: (C,) accumulated positive / negative gradient.
        channels: C, or C + 1 with the objectness column last, whose weights are 1.
        mu, gamma: centre and steepness of the negative weight.
        alpha: strength of the positive weight.
    """
    negative = torch.sigmoid(gamma * (ratio - mu))
    positive = 1 + alpha * (1 - negative)
    ones = ratio.new_ones(channels - ratio.numel())
    return torch.cat([positive, ones]).float(), torch.cat([negative, ones]).float()


def eqlv2_loss(
    pred: Tensor,
    target: Tensor,
    ratio: Tensor,
    *,
    mu: float = 0.8,
    gamma: float = 12.0,
    alpha: float = 4.0,
    class_weight: Tensor | None = None,
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Sum over channels of the binary cross-entropy, its positive and negative terms weighted by :func:`eqlv2_weights`.

    A class whose samples pulled it up less than all others pushed it down (ratio < mu) is pushed less and pulled more.

    Args:
        pred: logits (N, K, *spatial) or (P, K); K = C classes, or C + 1 with the objectness column last.
        target: class indices (N, *spatial) or (P,); C = background: the objectness column is its own, without one all
            columns are negative.
        ratio: (C,), for example :meth:`imbdense.core.stats.RunningGradients.ratio`; 100 in the beginning.
        mu, gamma, alpha: see :func:`eqlv2_weights`.
        class_weight: (K,) fixed weights of the positive terms.
        ignore_index, weight, normalizer, avg_factor, reduction: see :mod:`imbdense.core.losses`; the mean is over
            elements, not elements x classes.

    Source: Tan et al., Equalization Loss v2, CVPR 2021.
    """
    safe, valid = split_ignored(pred, target, ignore_index, values=ratio.numel() + 1, owner='eqlv2_loss')
    weights = _term_weights(pred, safe, valid, *eqlv2_weights(ratio, pred.shape[1], mu=mu, gamma=gamma, alpha=alpha))
    return shifted_sigmoid_loss(
        pred, torch.where(valid, safe, -1), weight=with_sample_weight(weights, weight), class_weight=class_weight,
        ignore_index=-1, normalizer=normalizer, avg_factor=avg_factor, reduction=reduction, owner='eqlv2_loss',
    )


@torch.no_grad()
def eqlv2_gradients(
    pred: Tensor,
    target: Tensor,
    ratio: Tensor,
    *,
    mu: float = 0.8,
    gamma: float = 12.0,
    alpha: float = 4.0,
    ignore_index: int = 255,
    weight: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Absolute gradient that each class got from its own samples and from the others, (C,) float32 each.

    It is the gradient of the summed loss, so with the weights of :func:`eqlv2_weights` and with the sample weights.
    Arguments as for :func:`eqlv2_loss`.
    """
    classes, channels = ratio.numel(), pred.shape[1]
    safe, valid = split_ignored(pred, target, ignore_index, values=classes + 1, owner='eqlv2_gradients')
    positive, negative = eqlv2_weights(ratio, channels, mu=mu, gamma=gamma, alpha=alpha)
    gradient = torch.sigmoid(full_precision(pred))
    mass = valid.unsqueeze(1).to(gradient.dtype) * with_sample_weight(torch.ones_like(gradient), weight)
    column = safe.clamp_max(channels - 1).unsqueeze(1)
    is_own = (safe < channels).unsqueeze(1)
    own = gradient.gather(1, column)
    gradient.scatter_(1, column, torch.where(is_own, 0.0, own))
    pulled = torch.where(is_own, (1 - own) * mass.gather(1, column), 0.0).flatten()
    from_own = pulled.new_zeros(channels).scatter_add_(0, column.flatten(), pulled)
    from_others = (gradient * mass).transpose(0, 1).flatten(1).sum(1)
    return (from_own * positive)[:classes], (from_others * negative)[:classes]


def _term_weights(pred: Tensor, safe: Tensor, valid: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """The negative weight of each channel, and the positive one in the column of the label."""
    channels = pred.shape[1]
    weights = negative.view(1, -1, *(1,) * (pred.ndim - 2)).expand_as(pred).clone()
    column = torch.where(valid, safe, 0).clamp_max(channels - 1).unsqueeze(1)
    own = torch.where((safe < channels).unsqueeze(1), positive[column], negative[column])
    return weights.scatter_(1, column, own)
