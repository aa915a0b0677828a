"""From class counts to what a loss adds to its logits or multiplies its terms with."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_choice
from imbdense.core.stats import fill_empty_classes

EMPTY_CLASS_POLICIES: tuple[str, ...] = ('one', 'mask')

REMOVED = -1e4
"""Shift of a class taken out of the softmax: its probability and gradient are exactly zero, everything stays finite."""


def prior_shift(
    counts: Tensor,
    channels: int,
    *,
    tau: float = 1.0,
    center: bool = True,
    use_sigmoid: bool = False,
    empty_class: str = 'one',
    owner: str = 'prior_shift',
) -> Tensor:
    """Return what logit adjustment adds to the logits while training, (channels,) float64.

    With pi = counts / sum(counts)::

        softmax over the C classes           tau * log(pi_c)
        softmax with a background channel    tau * (log(pi_c) - sum_k pi_k log(pi_k));  background 0
        one sigmoid per class                tau * (log(pi_c) - sum_k pi_k log(pi_k))
        the last two with center=False       tau * log(pi_c), background 0;  tau * log(pi_c / (1 - pi_c))

    Centred, the shift is zero on average over the objects, so that the decision between object and background is not
    moved, only the one among the classes. With many classes the uncentred forms raise every object score.

    Args:
        counts: (C,) >= 0, or the distribution itself; any device, no value is read back from it.
        channels: channels of the logits: C, or C + 1 with the background last (softmax only).
        tau: strength, >= 0; 1 = full correction.
        empty_class: what to do with n_c = 0: 'one' = count it once; 'mask' = take the class out of the softmax
            (shift :data:`REMOVED`).

    Raises:
        ValueError: ``channels`` fits neither C nor C + 1.
    """
    check_choice('empty_class', empty_class, EMPTY_CLASS_POLICIES, owner=owner)
    background = has_background(counts.numel(), channels, use_sigmoid=use_sigmoid, owner=owner)
    raw = counts.to(torch.float64)
    prior = fill_empty_classes(raw)
    prior = prior / prior.sum()
    log_prior = prior.log()
    if (background or use_sigmoid) and center:
        log_prior = log_prior - (prior * log_prior).sum()
    elif use_sigmoid:
        log_prior = log_prior - torch.log1p(-prior.clamp_max(1 - 1e-12))
    shift = tau * log_prior
    if empty_class == 'mask':
        shift = torch.where(raw == 0, torch.full_like(shift, REMOVED), shift)
    return torch.cat([shift, shift.new_zeros(1)]) if background else shift


def foreground_weights(
    weights: Tensor, counts: Tensor, channels: int, *, use_sigmoid: bool = False, owner: str = 'foreground_weights'
) -> Tensor:
    """Return class weights for ``channels`` logits, (channels,) float64.

    Without background the weights are returned as they are. With a background channel (softmax), or one sigmoid per
    class, they are scaled to mean one over the objects, sum_c pi_c w_c = 1, and the background weighs 1: so weighting
    the classes does not also weight object against background (inverse frequency would make nearly all objects
    weigh much less than the background).
    """
    background = has_background(weights.numel(), channels, use_sigmoid=use_sigmoid, owner=owner)
    values = weights.to(torch.float64)
    if not background and not use_sigmoid:
        return values
    prior = fill_empty_classes(counts.to(values))
    values = values / ((prior / prior.sum()) * values).sum()
    return torch.cat([values, values.new_ones(1)]) if background else values


def with_background(values: Tensor, counts: Tensor, channels: int, *, owner: str = 'with_background') -> Tensor:
    """Return a per-class quantity (a margin, a temperature, a smoothing) for ``channels`` logits, (channels,) float64.

    A background channel gets the mean over the objects, sum_c pi_c v_c: then the quantity acts among the classes, and
    on average neither for nor against the background.
    """
    values = values.to(torch.float64)
    if not has_background(values.numel(), channels, owner=owner):
        return values
    prior = fill_empty_classes(counts)
    return torch.cat([values, ((prior / prior.sum()) * values).sum().view(1)])


def removed_shift(
    counts: Tensor, channels: int, empty_class: str = 'one', *, owner: str = 'removed_shift'
) -> Tensor | None:
    """Return the shift that takes classes of count 0 out of the softmax, (channels,); ``None`` for 'one'."""
    check_choice('empty_class', empty_class, EMPTY_CLASS_POLICIES, owner=owner)
    extra = int(has_background(counts.numel(), channels, owner=owner))
    if empty_class == 'one':
        return None
    return torch.cat([torch.where(counts == 0, REMOVED, 0.0), counts.new_zeros(extra)])


def has_background(classes: int, channels: int, *, use_sigmoid: bool = False, owner: str = '') -> bool:
    """Whether logits of ``channels`` channels hold a background channel after the ``classes`` classes.

    Raises:
        ValueError: the numbers do not fit; the message says what to look at.
    """
    if channels == classes:
        return False
    if channels == classes + 1 and not use_sigmoid:
        return True
    wanted = f'{classes}' if use_sigmoid else f'{classes} (or {classes + 1} with a background channel)'
    raise ValueError(
        f'{owner}: class_counts has {classes} entries but the logits have {channels} channels (dim 1); expected '
        f'{wanted}. Were the classes counted with the same class list and the same reduce_zero_label as the head '
        f'uses? A binary head with out_channels=1 needs out_channels=2 here.'
    )
