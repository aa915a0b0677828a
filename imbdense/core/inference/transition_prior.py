"""How often each class becomes each other class between two dates: counted, or estimated without labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from imbdense.core.checks import check_counts, check_integer, check_number

ITERATIONS, TOLERANCE, LAPLACE = 60, 1e-5, 1e-6
FLOOR = 1e-8
"""Least probability of a class: a saturated softmax must not forbid what the transition prior allows."""
CHUNK = 65_536


@dataclass(frozen=True)
class TransitionEstimate:
    """What :func:`estimate_transitions` found.

    Attributes:
        matrix: (K, K) float64, sums to 1; entry [i, j] = share of pixels of class i at date 1 and j at date 2.
        iterations: steps done. converged: whether the last one changed ``matrix`` by less than the tolerance.
        log_likelihood: mean over the pixels of log sum_ij L1(i) T(i, j) L2(j) before the last step, up to a constant.
    """

    matrix: Tensor
    iterations: int
    converged: bool
    log_likelihood: float

    @property
    def change_rate(self) -> float:
        """Estimated share of changed pixels, 1 - trace."""
        return float(1.0 - self.matrix.diagonal().sum())


def class_likelihoods(probabilities: Tensor, prior: Tensor) -> Tensor:
    """L(k) = p(k) / prior(k), divided by its largest value at each pixel: (K, P), float32 or float64, in (0, 1].

    Args:
        probabilities: (K, P) softmax of a model. prior: (K,) > 0, the class shares its softmax encodes.
    """
    ratio = probabilities.clamp_min(FLOOR) / prior.to(probabilities).clamp_min(FLOOR)[:, None]
    return ratio / ratio.amax(0)


def transition_shares(counts: Tensor, allowed: Tensor | None = None) -> Tensor:
    """(K, K) float64 transition prior of counted pixels: (n + 1e-6 sum n) / sum, and 0 where not ``allowed``.

    Args:
        counts: (K, K) >= 0, row = date 1. allowed: (K, K) bool, ``None`` = all.

    Raises:
        ValueError: not square, negative, or nothing is counted.
    """
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f'transition_shares: counts must be (K, K), but has shape {tuple(counts.shape)}.')
    shares = check_counts(counts.flatten().double(), name='counts', owner='transition_shares').view(counts.shape)
    return _smoothed(shares / shares.sum(), allowed)


def count_transitions(first: Tensor, second: Tensor, num_classes: int, ignore_index: int = 255) -> Tensor:
    """(K, K) int64 counts of label pairs; a pixel that is ignored at either date is left out.

    Raises:
        ValueError: the shapes differ, or labels outside [0, K) that are not ``ignore_index``.
    """
    if first.shape != second.shape:
        raise ValueError(f'count_transitions: shapes {tuple(first.shape)} and {tuple(second.shape)} differ.')
    known = (first != ignore_index) & (second != ignore_index)
    pair = torch.stack([first[known], second[known]]).long()
    if pair.numel() and (int(pair.min()) < 0 or int(pair.max()) >= num_classes):
        raise ValueError(f'count_transitions: labels {pair.min()} ... {pair.max()} do not fit {num_classes} classes.')
    return torch.bincount(num_classes * pair[0] + pair[1], minlength=num_classes**2).view(num_classes, num_classes)


def estimate_transitions(
    first: Tensor,
    second: Tensor,
    prior: Tensor,
    allowed: Tensor | None = None,
    *,
    iterations: int = ITERATIONS,
    tolerance: float = TOLERANCE,
) -> TransitionEstimate:
    """Most likely transition prior of unlabelled pixels, by expectation maximisation.

    ::

        T_0 = (diag(prior) + prior prior^T) / 2
        J_x(i, j) = L1_x(i) T(i, j) L2_x(j) / sum            joint posterior of pixel x
        T <- (mean over x of J_x  + 1e-6) / sum              where allowed, else 0

    until ||T_new - T||_1 < ``tolerance``. The mean is ``T * (L1 / z) L2^T / P``: two matrix products, so no K x K
    values per pixel exist. The pixels go through in chunks; memory beyond the input is O(K * 65 536).

    Args:
        first, second: (K, P) probabilities at the two dates; P >= 50 000 drawn pixels are enough for a scene.
        prior: (K,) class shares that the softmax of the model encodes, see
            :class:`imbdense.core.stats.PriorLedger`.
        allowed: (K, K) bool; ``False`` = this transition cannot happen.

    Raises:
        ValueError: shapes that do not fit, or no pixel.
    """
    owner = 'estimate_transitions'
    check_integer('iterations', iterations, low=1, owner=owner)
    check_number('tolerance', tolerance, low=0.0, owner=owner)
    classes = check_pair(first, second, prior, owner)
    if first.shape[1] == 0:
        raise ValueError(f'{owner}: there is no pixel to estimate the transitions from.')
    shares = check_counts(prior, name='prior', owner=owner)
    shares = shares / shares.sum()
    likelihoods = [class_likelihoods(values.double(), shares) for values in (first, second)]
    matrix = _smoothed((torch.diag(shares) + shares[:, None] * shares) / 2, allowed).to(first.device)
    if matrix.shape[0] != classes:
        raise ValueError(f'{owner}: allowed must be ({classes}, {classes}), but has shape {tuple(matrix.shape)}.')
    done, change, level = 0, float('inf'), float('nan')
    while done < iterations and change >= tolerance:
        updated, level = _step(likelihoods[0], likelihoods[1], matrix)
        updated = _smoothed(updated, allowed)
        change = float((updated - matrix).abs().sum())
        matrix, done = updated, done + 1
    return TransitionEstimate(matrix, done, change < tolerance, level)


def date_agreement(first: Tensor, second: Tensor, matrix: Tensor) -> tuple[float, float]:
    """Share of pixels where both dates have the same most likely class: (observed, expected).

    ::

        C_t(a | i) = sum_x p_t(i) [argmax p_t = a] / sum_x p_t(i)         how date t confuses class i, calibrated
        expected   = sum_ij T(i, j) sum_a C_1(a | i) C_2(a | j)           if the errors of the dates are independent

    Observed far above expected: the same errors are made at both dates (the same light, the same shadows, one image
    derived from the other). They look like proof of "no change", and :func:`estimate_transitions` finds too little.

    Args:
        first, second: (K, P) probabilities. matrix: (K, K) transition prior with sum 1.
    """
    classes = check_pair(first, second, None, 'date_agreement')
    tables = []
    for values in (first.double(), second.double()):
        hard = torch.nn.functional.one_hot(values.argmax(0), classes).double()
        tables.append(values @ hard / values.sum(1, keepdim=True).clamp_min(FLOOR))
    expected = (matrix.double() * (tables[0] @ tables[1].T)).sum()
    return float((first.argmax(0) == second.argmax(0)).double().mean()), float(expected)


class PixelPairReservoir:
    """A uniform sample of the pixels of any number of scenes, without knowing how many come.

    Every pixel draws a random key; those with the largest keys are kept.

    Args:
        size: pixels to keep. seed: of the keys. State: the sample, on the CPU; each rank has its own.
    """

    def __init__(self, size: int = 50_000, seed: int = 0) -> None:
        self.size = check_integer('size', size, low=1, owner='PixelPairReservoir')
        self._generator = torch.Generator().manual_seed(seed)
        self._keys = torch.empty(0)
        self._pairs: Tensor | None = None

    def add(self, first: Tensor, second: Tensor) -> None:
        """Offer the pixels (K, P) of a scene at both dates."""
        keys = torch.rand(first.shape[1], generator=self._generator)
        kept = keys.topk(min(self.size, keys.numel())).indices.to(first.device)
        pairs = torch.stack([first[:, kept], second[:, kept]]).float().cpu()
        keys = keys[kept.cpu()]
        if self._pairs is not None:
            keys, pairs = torch.cat([self._keys, keys]), torch.cat([self._pairs, pairs], dim=2)
        best = keys.topk(min(self.size, keys.numel())).indices
        self._keys, self._pairs = keys[best], pairs[:, :, best]

    def sample(self) -> tuple[Tensor, Tensor]:
        """The kept pixels at date 1 and date 2, (K, P) each.

        Raises:
            ValueError: nothing was offered.
        """
        if self._pairs is None or not self._pairs.shape[2]:
            raise ValueError('PixelPairReservoir: no pixel was offered. Has no image data at both dates?')
        return self._pairs[0], self._pairs[1]


def check_pair(first: Tensor, second: Tensor, prior: Tensor | None, owner: str) -> int:
    """K, if both dates have the same shape (K, ...) and ``prior`` has K entries."""
    if first.shape != second.shape or first.ndim < 2:
        raise ValueError(
            f'{owner}: the probabilities of both dates must have one shape (K, ...), but have {tuple(first.shape)} and '
            f'{tuple(second.shape)}.'
        )
    if prior is not None and tuple(prior.shape) != (first.shape[0],):
        raise ValueError(f'{owner}: prior must hold {first.shape[0]} class shares, but has {tuple(prior.shape)}.')
    return int(first.shape[0])


def _step(first: Tensor, second: Tensor, matrix: Tensor) -> tuple[Tensor, float]:
    """(mean joint posterior, mean log evidence) over all pixels, chunk by chunk."""
    total, level = torch.zeros_like(matrix), 0.0
    for start in range(0, first.shape[1], CHUNK):
        one, two = first[:, start : start + CHUNK], second[:, start : start + CHUNK]
        evidence = ((matrix.T @ one) * two).sum(0)
        total += (one / evidence) @ two.T
        level += float(evidence.log().sum())
    return matrix * total / first.shape[1], level / first.shape[1]


def _smoothed(matrix: Tensor, allowed: Tensor | None) -> Tensor:
    """Add 1e-6 to every allowed entry, set the others to 0, and normalise."""
    smoothed = matrix + LAPLACE
    if allowed is not None:
        if allowed.shape != matrix.shape or not bool(allowed.any()):
            raise ValueError(
                f'allowed must be a {tuple(matrix.shape)} table with at least one transition, but has shape '
                f'{tuple(allowed.shape)}.'
            )
        smoothed = smoothed * allowed.to(smoothed)
    return smoothed / smoothed.sum()
