"""Foreground classification balance (BACL): pairwise margins from who is mistaken for whom."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.core.checks import reads_values, split_ignored
from imbdense.core.losses.sigmoid import objectness_scores, shifted_sigmoid_loss, with_sample_weight
from imbdense.core.reduction import full_precision

FLOOR = 1e-3
"""A confusion below this counts as this; so all margins are 0 before the first sample."""


def foreground_class_balance_loss(
    pred: Tensor,
    target: Tensor,
    confusion: Tensor,
    *,
    alpha: float = 0.85,
    competitors_only: bool = False,
    score_thr: float = 0.7,
    class_weight: Tensor | None = None,
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Binary cross-entropy of sigma(z_j + margin_yj) summed over channels, with a margin for the samples of classes::

        margin_yj = alpha * log( max(cm_yj, 1e-3) / max(cm_jy, 1e-3) )        j < C;  0 for objectness and background

    Samples of a class often mistaken for j (and not the reverse) have to push j down harder; samples of a frequent
    class push a rare one down less.

    Args:
        pred: logits (N, K, *spatial) or (P, K); K = C classes, or C + 1 with the objectness column last.
        target: class indices (N, *spatial) or (P,); C = background.
        confusion: (C, C), mean softmax probability of class j (column) for samples of class y (row), for example
            :meth:`imbdense.core.stats.RunningConfusion.confusion`.
        alpha: strength >= 0; 0 = plain binary cross-entropy.
        competitors_only: samples of a class only push down the classes that score at least as high as it, or at least
            ``score_thr``; the score is the one of test time.
        score_thr: in (0, 1).
        class_weight: (K,) fixed weights of the positive terms.
        ignore_index, weight, normalizer, avg_factor, reduction: see :mod:`imbdense.core.losses`; the mean is over
            elements, not elements x classes.

    Source: Qi et al., Balanced Classification (BACL), TMM 2023.
    """
    classes = confusion.shape[0]
    safe, valid = split_ignored(
        pred, target, ignore_index, values=classes + 1, owner='foreground_class_balance_loss'
    )
    logits = full_precision(pred)
    shifted = logits + _margins(logits, safe, confusion.to(logits), alpha)
    if competitors_only:
        weight = with_sample_weight(_competitors(logits, safe, classes, score_thr), weight)
    return shifted_sigmoid_loss(
        shifted, torch.where(valid, safe, -1), weight=weight, class_weight=class_weight, ignore_index=-1,
        normalizer=normalizer, avg_factor=avg_factor, reduction=reduction, owner='foreground_class_balance_loss',
    )


@torch.no_grad()
def labelled_probabilities(
    pred: Tensor, target: Tensor, classes: int, *, ignore_index: int = 255
) -> tuple[Tensor, Tensor]:
    """What :class:`imbdense.core.stats.RunningConfusion` observes: who each sample of a class is taken for.

    Background (``target`` = classes) and ignored samples count nothing; a channel after the classes is left out.

    Returns:
        (labels (P,) int64, softmax(z_1..z_C) (P, classes) float32). On the CPU P is the number of samples of classes;
        on other devices, where choosing them would wait for the device, all elements, those that do not count with
        label 0 and zeros.
    """
    safe, valid = split_ignored(pred, target, ignore_index, values=classes + 1, owner='labelled_probabilities')
    labels, counted = safe.flatten(), (valid & (safe < classes)).flatten()
    logits = pred[:, :classes].movedim(1, -1).reshape(-1, classes)
    if reads_values(target):
        return labels[counted], full_precision(logits[counted]).softmax(1)
    return torch.where(counted, labels, 0), full_precision(logits).softmax(1) * counted.unsqueeze(1)


@torch.no_grad()
def _margins(logits: Tensor, safe: Tensor, confusion: Tensor, alpha: float) -> Tensor:
    """margin_yj of every element and channel; 0 for background and ignored elements and the objectness column."""
    classes = confusion.shape[0]
    log = confusion.clamp_min(FLOOR).log()
    table = F.pad(alpha * (log - log.t()), (0, logits.shape[1] - classes, 0, 1))
    return table[safe].movedim(-1, 1)


@torch.no_grad()
def _competitors(logits: Tensor, safe: Tensor, classes: int, score_thr: float) -> Tensor:
    """1 for the terms kept, 0 for those of classes that do not compete; all ones for background elements."""
    if logits.shape[1] > classes:
        score = objectness_scores(logits.movedim(1, -1)).movedim(-1, 1)[:, :classes]
    else:
        score = logits.sigmoid()
    own = score.gather(1, safe.clamp_max(classes - 1).unsqueeze(1))
    kept = (score >= own) | (score >= score_thr) | (safe >= classes).unsqueeze(1)
    return F.pad(kept.to(logits.dtype), [0, 0] * (logits.ndim - 2) + [0, logits.shape[1] - classes], value=1.0)
