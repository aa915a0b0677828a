"""Equilibrium loss: a softmax in which a class that already scores well competes harder."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_channels, split_ignored
from imbdense.core.losses.cross_entropy import shifted_cross_entropy
from imbdense.core.reduction import full_precision


def equilibrium_loss(
    pred: Tensor,
    target: Tensor,
    mean_score: Tensor,
    *,
    class_weight: Tensor | None = None,
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Cross-entropy of s_y e^{z_y} / sum_j s_j e^{z_j}: a logit shift by the log of the mean score of each class.

    Args:
        pred: logits (N, K, *spatial) or (P, K).
        target: class indices (N, *spatial) or (P,), or probabilities of the shape of ``pred``.
        mean_score: (K,) s > 0, one per channel; with a background channel its fixed value last.
        class_weight: (K,) fixed weights.
        ignore_index, weight, normalizer, avg_factor, reduction: see :mod:`imbdense.core.losses`.

    Raises:
        ValueError: ``mean_score`` does not have one number per channel.

    Source: Feng et al., Exploring Classification Equilibrium in Long-Tailed Object Detection (LOCE), ICCV 2021.
    """
    check_channels(pred, mean_score.numel(), owner='equilibrium_loss', what='mean_score')
    return shifted_cross_entropy(
        pred, target, shift=mean_score.detach().clamp_min(1e-12).log(), class_weight=class_weight,
        ignore_index=ignore_index, weight=weight, normalizer=normalizer, avg_factor=avg_factor, reduction=reduction,
        owner='equilibrium_loss',
    )


@torch.no_grad()
def score_sums(pred: Tensor, target: Tensor, classes: int, *, ignore_index: int = 255) -> tuple[Tensor, Tensor]:
    """Sum over the samples of each class of their softmax score for it, and their number, (classes,) float32 each.

    ``target`` >= ``classes`` (background) and ``ignore_index`` count nothing; the softmax is over all channels.
    """
    safe, valid = split_ignored(pred, target, ignore_index, owner='score_sums')
    counted = (valid & (safe < classes)).flatten()
    own = full_precision(pred).softmax(1).gather(1, safe.unsqueeze(1)).flatten()
    label = safe.flatten().clamp_max(classes - 1)
    zeros = own.new_zeros(classes)
    return (
        zeros.scatter_add(0, label, torch.where(counted, own, 0.0)),
        zeros.scatter_add(0, label, counted.to(own.dtype)),
    )
