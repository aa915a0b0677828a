"""Classifier vectors that are chosen, not learned: simplex ETF, orthogonal frame, orthogonal frame of given lengths.

A frame is a (d, K) matrix M whose column m_c is the classifier vector of class c; logits are ``M^T h``. Frames are
drawn once from their own seeded generator (the global one is not touched), so that every rank and every process gets
the same.

Sources: Yang et al., Inducing neural collapse in imbalanced learning (NeurIPS 2022) for the fixed simplex ETF and the
batch-balanced lengths; Dang et al., Neural collapse in deep linear networks (ICML 2023) for the general orthogonal
frame, which is what squared error on imbalanced classes converges to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_counts, check_integer, check_number

FRAMES: tuple[str, ...] = ('etf', 'of', 'gof')
"""Simplex equiangular tight frame, orthogonal frame, general orthogonal frame (lengths from class counts)."""


def smallest_dim(frame: str, num_classes: int) -> int:
    """The rank of a frame: K - 1 for the simplex ETF (at least 1), K for orthogonal frames."""
    check_choice('frame', frame, FRAMES)
    return max(num_classes - 1, 1) if frame == 'etf' else num_classes


def fixed_frame(
    frame: str,
    num_classes: int,
    dim: int | None = None,
    *,
    counts: Sequence[float] | Tensor | None = None,
    gamma: float = 0.0,
    seed: int = 0,
) -> Tensor:
    """Return the frame called ``frame``, one of :data:`FRAMES`, as a float32 (d, K) tensor.

    Args:
        frame: 'etf' (:func:`simplex_etf`), 'of' (:func:`orthogonal_frame`) or 'gof'
            (:func:`general_orthogonal_frame`).
        num_classes: K.
        dim: d; ``None`` = the smallest that holds the frame.
        counts: (K,) class counts, for 'gof' only.
        gamma: exponent of the counts, for 'gof' only.
        seed: of the rotation.

    Raises:
        ValueError: an unknown name, 'gof' without counts or with another number of them, counts with another frame.
    """
    size = smallest_dim(frame, num_classes) if dim is None else dim
    if (frame == 'gof') != (counts is not None):
        raise ValueError(f"class counts are needed by the frame 'gof' and by no other, but frame={frame!r} "
                         f'{"has none" if counts is None else "was given some"}.')  # fmt: skip
    if counts is None:
        made = simplex_etf(num_classes, size, seed) if frame == 'etf' else orthogonal_frame(num_classes, size, seed)
        return made.float()
    if len(counts) != num_classes:
        raise ValueError(f'class_counts has {len(counts)} entries, but the classifier has {num_classes} classes.')
    return general_orthogonal_frame(counts, size, gamma, seed).float()


def simplex_etf(num_classes: int, dim: int, seed: int = 0) -> Tensor:
    """Return a randomly rotated simplex equiangular tight frame, float64 (d, K).

    ``M = sqrt(K / (K - 1)) P (I - 11^T / K)`` with P (d, K) of orthonormal columns. Columns have length 1 and pairwise
    cosine -1 / (K - 1), the largest angle that K vectors can all have; rows sum to 0. P is the Q factor of a seeded
    Gaussian matrix. A simplex has rank K - 1, so d = K - 1 is enough; there P is replaced by a rotation of an
    orthonormal basis of the vectors that sum to 0.

    Raises:
        ValueError: K < 2 or d < K - 1.
    """
    check_integer('num_classes', num_classes, low=2, owner='simplex_etf')
    check_integer('dim', dim, owner='simplex_etf')
    if dim < num_classes - 1:
        raise ValueError(
            f'simplex_etf: {num_classes} classes need dim >= {num_classes - 1}, but dim is {dim}. Widen the features.'
        )
    centred = torch.eye(num_classes, dtype=torch.float64) - 1.0 / num_classes
    if dim >= num_classes:
        basis = _orthonormal(dim, num_classes, seed) @ centred
    else:
        inside = torch.linalg.eigh(centred).eigenvectors[:, 1:]  # the eigenvector of the value 0 is the constant one
        basis = _orthonormal(dim, dim, seed) @ inside.T
    return math.sqrt(num_classes / (num_classes - 1)) * basis


def orthogonal_frame(num_classes: int, dim: int, seed: int = 0) -> Tensor:
    """Return K orthonormal columns, float64 (d, K): the Q factor of a seeded Gaussian matrix.

    Raises:
        ValueError: K < 1 or d < K.
    """
    check_integer('num_classes', num_classes, low=1, owner='orthogonal_frame')
    check_integer('dim', dim, owner='orthogonal_frame')
    if dim < num_classes:
        raise ValueError(
            f'orthogonal_frame: {num_classes} orthogonal vectors need dim >= {num_classes}, but dim is {dim}.'
        )
    return _orthonormal(dim, num_classes, seed)


def general_orthogonal_frame(
    counts: Sequence[float] | Tensor, dim: int, gamma: float = 0.25, seed: int = 0
) -> Tensor:
    """Return orthogonal columns of length ``l_c ~ n_c^gamma`` with ``sum_c l_c^2 = K``, float64 (d, K).

    gamma = 1/4 is what training with squared error ends in, 0 an orthogonal frame, -1/4 gives the tail the long
    vectors. A count of 0 counts as 1.

    Args:
        counts: (K,) samples per class.
        dim: d >= K.
        gamma: in [-1, 1].
        seed: of the rotation.

    Raises:
        ValueError: counts that are not finite, negative or all zero; gamma outside; d < K.
    """
    numbers = check_counts(counts, owner='general_orthogonal_frame').cpu().clamp_min(1.0)
    exponent = check_number('gamma', gamma, low=-1.0, high=1.0, owner='general_orthogonal_frame')
    # The largest count is divided out before the power, so that 1e10 pixels cannot overflow.
    lengths = (numbers / numbers.max()) ** exponent
    lengths = lengths * (numbers.numel() / lengths.square().sum()).sqrt()
    return orthogonal_frame(numbers.numel(), dim, seed) * lengths


def batch_balanced_lengths(target: Tensor, num_classes: int, ignore_index: int = 255) -> Tensor:
    """Return the lengths E_W (K,) that balance the labels of a batch, float32.

    ``E_W(c) = sqrt((B / U) / count_c)`` with B labels, U distinct classes among them; 1 for a class that is absent.
    ``ignore_index`` and values outside [0, K) do not count. No label is read on the host, so a device does not wait.
    """
    labels = target.reshape(-1).to(torch.int64)
    bins = torch.where(labels == ignore_index, -1, labels).clamp(-1, num_classes) + 1
    counts = torch.bincount(bins, minlength=num_classes + 2)[1 : num_classes + 1].to(torch.float32)
    present = counts > 0
    share = counts.sum() / present.sum().clamp_min(1)
    return torch.where(present, (share / counts.clamp_min(1.0)).sqrt(), 1.0)


def class_balanced_lengths(counts: Sequence[float] | Tensor) -> Tensor:
    """Return the lengths E_W(c) = sqrt((N / K) / n_c) (K,) of a whole training set, float64; n_c = 0 counts as 1."""
    numbers = check_counts(counts, owner='class_balanced_lengths').clamp_min(1.0)
    return (numbers.sum() / numbers.numel() / numbers).sqrt()


def _orthonormal(rows: int, columns: int, seed: int) -> Tensor:
    """(rows, columns) orthonormal columns from the seed alone, the same on every machine of one torch version."""
    generator = torch.Generator().manual_seed(seed)
    q, r = torch.linalg.qr(torch.randn(rows, columns, generator=generator, dtype=torch.float64))
    signs = torch.where(torch.diagonal(r) < 0, -1.0, 1.0).to(torch.float64)  # else the signs would be LAPACK's choice
    return q * signs
