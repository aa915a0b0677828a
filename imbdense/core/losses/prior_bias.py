"""The bias of a classifier's last layer with which training starts at the lowest loss a constant answer can have.

A dense detector sees N_f foreground and N_b background samples (anchors, points, proposals, queries), N = N_f + N_b,
with N_b thousands of times larger. With the usual zero bias the first gradients only say "background", so large that
the network escapes to it for ever. A bias set from the counts starts where these gradients cancel out.

All functions compute in float64 from plain numbers. Source: Chen et al., Is Heuristic Sampling Necessary in Training
Deep Object Detectors?, IEEE TIP 2021 (the shared sigmoid form); the softmax, per-class and segmentation forms minimise
the same expected loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from imbdense.core.checks import check_counts, check_number


def shared_prior(foreground: float, background: float, classes: int) -> float:
    """Return pi = N_f / (C * N), the probability of each of C classes that minimises :func:`expected_initial_loss`.

    Args:
        foreground: N_f > 0, samples assigned to any class.
        background: N_b >= 0, samples assigned to the background; ignored samples are in neither.
        classes: C >= 1, without the background.

    Raises:
        ValueError: no foreground, or a negative number.
    """
    _check(foreground, background, classes)
    return foreground / (classes * (foreground + background))


def expected_initial_loss(prior: float, foreground: float, background: float, classes: int) -> float:
    """Return the binary cross-entropy per foreground sample when C sigmoids answer ``prior`` everywhere.

    ``L(pi) = -log(pi) - (C * N / N_f - 1) * log(1 - pi)``: each of the N samples asks C questions, N_f of the C * N
    answers are yes. What a dense head logs in the first iteration when its loss is divided by the positives.

    Raises:
        ValueError: as :func:`shared_prior`, or ``prior`` not in (0, 1).
    """
    _check(foreground, background, classes)
    if not 0.0 < prior < 1.0:
        raise ValueError(f'expected_initial_loss: prior must lie in (0, 1), but is {prior}.')
    negatives = classes * (foreground + background) / foreground - 1.0
    return -math.log(prior) - negatives * math.log1p(-prior)


def shared_sigmoid_bias(foreground: float, background: float, classes: int) -> float:
    """Return b = -log(C * N / N_f - 1) = logit(pi), for every class channel of a sigmoid head.

    Raises:
        ValueError: as :func:`shared_prior`; also one class without background, whose best bias is infinite.
    """
    return prior_to_bias(shared_prior(foreground, background, classes))


def shared_softmax_bias(foreground: float, background: float, classes: int) -> Tensor:
    """Return (C + 1,) biases of a softmax head with the background last: 0 for classes, log(C * N_b / N_f) for it.

    They minimise ``-(N_f / N) log(pi) - (N_b / N) log(1 - C pi)``; each class then has pi = N_f / (C * N).

    Raises:
        ValueError: as :func:`shared_prior`; also ``background`` = 0, whose best bias is infinite.
    """
    _check(foreground, background, classes)
    if background == 0:
        raise ValueError('shared_softmax_bias: no sample is background, so the best bias of its channel is infinite.')
    bias = torch.zeros(classes + 1, dtype=torch.float64)
    bias[-1] = math.log(classes * background / foreground)
    return bias


def per_class_sigmoid_bias(counts: Sequence[float] | Tensor, background: float = 0.0) -> Tensor:
    """Return (C,) biases log(pi_c / (1 - pi_c)) with pi_c = (N_c + 1) / (N + C); N counts the background too.

    The added ones keep a class without a sample finite. For segmentation the counts are pixels and ``background`` is
    0, because its background is one of the classes.

    Raises:
        ValueError: counts that are not finite, negative, or all zero; one class and no background.
    """
    values = _check_per_class(counts, background)
    if values.numel() == 1 and background == 0:
        raise ValueError('per_class_sigmoid_bias: with one class and no background the best bias is infinite.')
    prior = (values + 1.0) / (values.sum() + background + values.numel())
    return torch.logit(prior)


def per_class_softmax_bias(counts: Sequence[float] | Tensor, background: float | None = None) -> Tensor:
    """Return the biases log(N_c + 1), and log(N_b + 1) for a background channel in the last place, with mean zero.

    Args:
        counts: (C,) samples or pixels per class.
        background: N_b for a head of C + 1 channels; ``None`` for a head of C channels (segmentation).

    Returns:
        (C,) or (C + 1,) float64 with mean zero; its softmax is (N_c + 1) / (N + channels).

    Raises:
        ValueError: as :func:`per_class_sigmoid_bias`.
    """
    values = _check_per_class(counts, background or 0.0)
    if background is not None:
        values = torch.cat([values, values.new_tensor([background])])
    bias = torch.log(values + 1.0)
    return bias - bias.mean()


def prior_to_bias(prior: float) -> float:
    """Return logit(prior) = -log((1 - prior) / prior).

    Raises:
        ValueError: ``prior`` is not in (0, 1).
    """
    if not 0.0 < prior < 1.0:
        raise ValueError(f'prior_to_bias: prior must lie in (0, 1), but is {prior}.')
    return -math.log((1.0 - prior) / prior)


def _check(foreground: float, background: float, classes: int) -> None:
    """The arguments that the shared forms have in common."""
    check_number('foreground', float(foreground), low=0.0)
    check_number('background', float(background), low=0.0)
    if classes < 1:
        raise ValueError(f'classes must be >= 1, but is {classes}.')
    if foreground == 0:
        raise ValueError(
            'no sample is foreground, so there is no prior to start from. Does the assigner find a match for any '
            'object? Look at the anchor sizes against the object sizes.'
        )


def _check_per_class(counts: Sequence[float] | Tensor, background: float) -> Tensor:
    """The counts as float64."""
    check_number('background', float(background), low=0.0)
    return check_counts(counts, name='counts')
