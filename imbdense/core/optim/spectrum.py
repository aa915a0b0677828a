"""How flat is the singular spectrum of a weight or of an update?"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from imbdense.core.checks import check_integer

SPECTRUM_METRICS = ('svd_entropy', 'effective_rank', 'top_k_energy', 'quantile_ratio')


def spectrum_metrics(matrix: Tensor, *, top_k: int = 10) -> dict[str, float]:
    """Four numbers on the singular values sigma_1 >= ... >= sigma_n of a matrix.

    With ``q_i = sigma_i^2 / sum sigma^2`` and ``H = -sum q_i log q_i``:

    * ``svd_entropy`` = H / log n, in [0, 1]; 1 = all equal.
    * ``effective_rank`` = exp(H), in [1, n].
    * ``top_k_energy`` = sum of the ``top_k`` largest q_i, in (0, 1].
    * ``quantile_ratio`` = third / first quartile of sigma, >= 1; inf when a quarter of them is zero.

    Args:
        matrix: (m, ...); more than two dimensions are flattened to (m, -1), as Muon does. Computed in float32 (float64
            for float64).
        top_k: k >= 1; above n it is n.

    Returns:
        The four values; NaN for all when the matrix is zero or not finite, for ``svd_entropy`` also when n = 1.

    Raises:
        ValueError: fewer than two dimensions, or empty.

    Source: Wang et al., Muon outperforms Adam in tail-end associative memory learning, 2025.
    """
    if matrix.ndim < 2 or matrix.numel() == 0:
        raise ValueError(f'spectrum_metrics: expected a non-empty matrix, but got shape {tuple(matrix.shape)}.')
    check_integer('top_k', top_k, low=1, owner='spectrum_metrics')
    flat = matrix.detach().reshape(matrix.shape[0], -1)
    flat = flat if flat.dtype == torch.float64 else flat.float()
    largest = float(flat.abs().max())
    if not math.isfinite(largest) or largest == 0:
        return dict.fromkeys(SPECTRUM_METRICS, math.nan)
    sigma = torch.linalg.svdvals(flat / largest).double()  # scaled: the squares of tiny updates would underflow
    energy = sigma.square() / sigma.square().sum()
    entropy = float(-torch.special.xlogy(energy, energy).sum())
    low, high = (float(torch.quantile(sigma, q)) for q in (0.25, 0.75))
    return {
        'svd_entropy': entropy / math.log(sigma.numel()) if sigma.numel() > 1 else math.nan,
        'effective_rank': math.exp(entropy),
        'top_k_energy': float(energy[:top_k].sum()),
        'quantile_ratio': high / low if low > 0 else math.inf,
    }
