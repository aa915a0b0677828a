"""Assignment of rows to clusters of a prescribed size."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_integer, check_number


def power_law_prior(sizes: Tensor, exponent: float) -> Tensor:
    """Shares ``pi_k ~ rank_k ^ -exponent``, (K,) float64, where the largest cluster has rank 1 (ties: the lower first).

    0 = equal shares, which would split a class as large as the ground into as many clusters as there are; 1 = Zipf.
    """
    check_number('exponent', exponent, low=0.0, owner='power_law_prior')
    order = torch.argsort(sizes, descending=True, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(1, len(sizes) + 1, device=sizes.device)
    prior = rank.double() ** -exponent
    return prior / prior.sum()


def sinkhorn_assign(
    scores: Tensor, prior: Tensor, *, weights: Tensor | None = None, temperature: float = 0.05, iterations: int = 50
) -> Tensor:
    """Soft assignment Q (S, K) with row sums w and column sums ``prior``, next to ``exp(scores / temperature)``.

    ``Q = diag(a) exp(scores / temperature) diag(b)``, a and b found by turns (Sinkhorn), in logarithms and float64.
    It moves rows that are nearly as near to a small cluster, not those that are far from it. The row sums are exact,
    the column sums as far as the iterations have settled.

    Args:
        scores: (S, K), for example cosines. prior: (K,) > 0; scaled to sum 1.
        weights: (S,) > 0, what each row counts; ``None`` = one. Scaled to sum 1.
        temperature: > 0; smaller follows the scores more closely. iterations: >= 1.

    Returns:
        (S, K) float64, sum 1. ``Q.argmax(1)`` are the labels.

    Source: Cuturi, Sinkhorn distances, NeurIPS 2013; as labels for clusters: Asano et al., ICLR 2020 (uniform prior).
    """
    check_number('temperature', temperature, low=0.0, low_open=True, owner='sinkhorn_assign')
    check_integer('iterations', iterations, low=1, owner='sinkhorn_assign')
    if scores.ndim != 2 or prior.shape != scores.shape[1:]:
        raise ValueError(f'sinkhorn_assign: scores {tuple(scores.shape)} need a prior of ({scores.shape[-1]},), but '
                         f'got {tuple(prior.shape)}.')  # fmt: skip
    if not bool((prior > 0).all()):
        raise ValueError('sinkhorn_assign: every share of the prior must be > 0.')
    kernel = scores.double() / temperature
    mass = torch.ones(len(scores), device=scores.device) if weights is None else weights
    log_rows = (mass.double() / mass.double().sum()).log()
    log_columns = (prior.double() / prior.double().sum()).log()
    b = torch.zeros_like(log_columns)
    a = log_rows - torch.logsumexp(kernel, 1)
    for _ in range(iterations):
        b = log_columns - torch.logsumexp(kernel + a[:, None], 0)
        a = log_rows - torch.logsumexp(kernel + b, 1)
    return (kernel + a[:, None] + b).exp()
