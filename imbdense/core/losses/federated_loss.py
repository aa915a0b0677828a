"""Federated loss: only a few classes are trained per step, so that a rare one is not pushed down by every image."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import split_ignored
from imbdense.core.losses.sigmoid import shifted_sigmoid_loss, with_sample_weight
from imbdense.core.reduction import full_precision


def federated_loss(
    pred: Tensor,
    target: Tensor,
    trained: Tensor,
    *,
    class_weight: Tensor | None = None,
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Binary cross-entropy summed over the classes that are trained in this step; the others get no gradient.

    Args:
        pred: logits (N, C, *spatial) or (P, C).
        target: class indices (N, *spatial) or (P,); C = background (all columns negative).
        trained: (C,) bool, for example of :func:`draw_federated_classes`.
        class_weight: (C,) fixed weights of the positive terms.
        ignore_index, weight, normalizer, avg_factor, reduction: see :mod:`imbdense.core.losses`; the mean is over
            elements, not elements x classes.

    Source: Zhou et al., Probabilistic two-stage detection (CenterNet2), 2021.
    """
    logits = full_precision(pred)
    mask = trained.to(logits).view(1, -1, *(1,) * (pred.ndim - 2)).expand_as(logits)
    return shifted_sigmoid_loss(
        logits, target, weight=with_sample_weight(mask, weight), class_weight=class_weight, ignore_index=ignore_index,
        normalizer=normalizer, avg_factor=avg_factor, reduction=reduction, owner='federated_loss',
    )


@torch.no_grad()
def draw_federated_classes(present: Tensor, rates: Tensor, number: int) -> Tensor:
    """The classes trained in a step, (C,) bool: those present and, up to ``number``, others drawn by ``rates``.

    The others are drawn without replacement, each with probability proportional to its rate among those left (the
    largest log rate + Gumbel noise: no value is read back, so a GPU does not wait). More than ``number`` present ones
    are all kept; a class of rate 0 is only taken when present.

    Args:
        present: (C,) bool.
        rates: (C,) >= 0.
        number: how many classes to take, >= 1; all C when it is larger.
    """
    noise = -torch.empty_like(rates, dtype=torch.float32).exponential_().log()
    key = torch.where(present, torch.inf, rates.float().log() + noise)
    highest = torch.topk(key, min(number, key.numel()))
    drawn = torch.zeros_like(present).scatter_(0, highest.indices, highest.values > -torch.inf)
    return present | drawn


@torch.no_grad()
def classes_present(pred: Tensor, target: Tensor, classes: int, *, ignore_index: int = 255) -> Tensor:
    """Which of the C classes are labelled in ``target``, (C,) bool."""
    safe, valid = split_ignored(pred, target, ignore_index, values=classes + 1, owner='classes_present')
    label = torch.where(valid, safe, classes).flatten()
    return torch.zeros(classes + 1, dtype=torch.bool, device=label.device).index_fill_(0, label, True)[:classes]
