"""Post-classification comparison: two land-cover maps of one place become a change map, with or without a prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_counts, check_integer, check_number
from imbdense.core.inference.planes import argmax_planes
from imbdense.core.inference.transition_prior import check_pair, class_likelihoods

Mode = Literal['argmax', 'prob', 'bayes']
MODES: tuple[str, ...] = ('argmax', 'prob', 'bayes')
CHUNK, WIDE_CHUNK = 8_192, 1 << 20
"""Pixels at a time: what the cache of a core holds, and what keeps an accelerator busy."""


@dataclass(frozen=True)
class ChangeMaps:
    """What two classifications say about each pixel; every map has the shape of the scene.

    Attributes:
        first, second: int64 land cover at each date. changed: bool, always ``first != second``.
        p_change: float32 probability of a change, in [0, 1].
    """

    first: Tensor
    second: Tensor
    p_change: Tensor

    @property
    def changed(self) -> Tensor:
        """Where the class differs."""
        return self.first != self.second


def compare_classifications(
    first: Tensor,
    second: Tensor,
    mode: Mode = 'bayes',
    *,
    prior: Tensor | None = None,
    transition: Tensor | None = None,
    threshold: float | None = None,
    chunk: int | None = None,
) -> ChangeMaps:
    """Compare the class probabilities of two dates, pixel by pixel.

    ::

        argmax   k_t = argmax p_t                     changed where k_1 != k_2
        prob     p_change = 1 - sum_k p_1(k) p_2(k)   changed where p_change > threshold; then the most likely pair
                                                      of different classes, else the most likely common class
        bayes    J(i, j) = L_1(i) T(i, j) L_2(j) / sum,  L = p / prior
                 (k_1, k_2) = argmax J,  p_change = 1 - sum_k J(k, k); with a threshold as in prob

    Two maps that are right at 87 % of the pixels each, independently, disagree at a quarter of them: false change
    buries the true one. ``bayes`` asks how likely a transition is at all before it believes two different labels.
    Its most likely pair makes the fewest errors and so, where the classifier is weak, finds few changes; a threshold
    of 0.2 or 0.3 finds more. Ties go to the lower class. In mode ``argmax`` p_change is that of ``prob``.

    The scene goes through in chunks of ``chunk`` pixels, and the pair is searched one class of date 1 at a time: K x K
    values per pixel never exist. Work is O(K^2) per pixel.

    Args:
        first, second: (K, ...) probabilities, sum 1 over dim 0, on one device.
        prior: (K,) class shares the softmax of the model encodes; 'bayes' only.
        transition: (K, K) share of each transition, sum 1, 0 = forbidden; 'bayes' only. See
            :func:`imbdense.core.inference.estimate_transitions`.
        threshold: of p_change in [0, 1]; ``None`` = 0.5 in mode 'prob', the most likely pair in mode 'bayes'.
        chunk: pixels at a time; ``None`` = 8 192 on a CPU, 2^20 elsewhere. Changes no label.

    Raises:
        ValueError: shapes that do not fit, 'bayes' without ``prior`` or ``transition``.
    """
    owner = 'compare_classifications'
    check_choice('mode', mode, MODES, owner=owner)
    if threshold is not None:
        check_number('threshold', threshold, low=0.0, high=1.0, owner=owner)
    wide = first.device.type != 'cpu'
    step = check_integer('chunk', (WIDE_CHUNK if wide else CHUNK) if chunk is None else chunk, low=1, owner=owner)
    classes = check_pair(first, second, prior, owner)
    if mode == 'bayes':
        if prior is None or transition is None:
            raise ValueError(f"{owner}: mode='bayes' needs the class prior of the model and a transition prior.")
        prior, transition = _checked_priors(prior, transition, classes, owner)
    scene, one, two = first.shape[1:], first.detach().flatten(1), second.detach().flatten(1)
    labels = torch.empty(2, one.shape[1], dtype=torch.int64, device=first.device)
    p_change = torch.empty(one.shape[1], dtype=torch.float32, device=first.device)
    for start in range(0, one.shape[1], step):
        part = slice(start, start + step)
        p, q = one[:, part].float(), two[:, part].float()
        if mode == 'bayes' and prior is not None and transition is not None:
            found = _bayes(class_likelihoods(p, prior), class_likelihoods(q, prior), transition.to(p), threshold)
        elif mode == 'prob':
            found = _independent(p, q, 0.5 if threshold is None else threshold)
        else:
            found = _argmax(p), _argmax(q), _differ(p, q)
        labels[0, part], labels[1, part], p_change[part] = found
    return ChangeMaps(labels[0].view(scene), labels[1].view(scene), p_change.view(scene))


def _argmax(values: Tensor) -> Tensor:
    """The class with the largest of (K, P), (P,) int64."""
    return argmax_planes(values[:, None].contiguous())[0].long()


def _differ(first: Tensor, second: Tensor) -> Tensor:
    """1 - sum_k p_1(k) p_2(k) as if the dates were independent, (P,)."""
    return (1.0 - (first * second).sum(0)).clamp(0.0, 1.0)


def _independent(first: Tensor, second: Tensor, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
    """(k_1, k_2, p_change) of mode 'prob'."""
    p_change = _differ(first, second)
    common = _argmax(first * second)
    if first.shape[0] == 1:
        return common, common, p_change
    (p, i), (q, j) = first.topk(2, dim=0), second.topk(2, dim=0)
    # The best pair of different classes is that of both maxima, or else gives one of them up for its runner-up.
    give_up_first = p[1] * q[0] > p[0] * q[1]
    same = i[0] == j[0]
    one = torch.where(same & give_up_first, i[1], i[0])
    two = torch.where(same & ~give_up_first, j[1], j[0])
    changed = p_change > threshold
    return torch.where(changed, one, common), torch.where(changed, two, common), p_change


def _bayes(
    first: Tensor, second: Tensor, transition: Tensor, threshold: float | None
) -> tuple[Tensor, Tensor, Tensor]:
    """(k_1, k_2, p_change) of mode 'bayes' from likelihoods (K, P)."""
    stays = transition.diagonal()[:, None] * first * second
    evidence = ((transition.T @ first) * second).sum(0)
    p_change = (1.0 - stays.sum(0) / evidence).clamp(0.0, 1.0)
    if threshold is None:
        return *_best_pair(first, second, transition), p_change
    one, two = _best_pair(first, second, transition - transition.diagonal().diag())
    changed, common = p_change > threshold, stays.argmax(0)
    return torch.where(changed, one, common), torch.where(changed, two, common), p_change


def _best_pair(first: Tensor, second: Tensor, transition: Tensor) -> tuple[Tensor, Tensor]:
    """argmax over (i, j) of L_1(i) T(i, j) L_2(j), one i at a time."""
    best = first.new_full(first.shape[1:], -1.0)
    one = torch.zeros(first.shape[1:], dtype=torch.int64, device=first.device)
    for klass in range(first.shape[0]):
        score = first[klass] * (transition[klass, :, None] * second).amax(0)
        better = score > best
        best, one = torch.where(better, score, best), torch.where(better, klass, one)
    return one, _argmax(transition[one].T * second)


def _checked_priors(prior: Tensor, transition: Tensor, classes: int, owner: str) -> tuple[Tensor, Tensor]:
    """Both priors, each with sum 1."""
    if tuple(transition.shape) != (classes, classes):
        raise ValueError(
            f'{owner}: transition must be ({classes}, {classes}), but has shape {tuple(transition.shape)}.'
        )
    shares = check_counts(prior, name='prior', owner=owner)
    table = check_counts(transition.flatten(), name='transition', owner=owner).view(classes, classes)
    return shares / shares.sum(), table / table.sum()
