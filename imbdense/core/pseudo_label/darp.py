"""Pseudo-labels as close as possible to the predictions, with given class totals (DARP)."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_integer, check_number

MAX_DUAL = 1e4


def darp_denoise(probs: Tensor, target_counts: Tensor, alpha: float = 2.0) -> Tensor:
    """Clear what is surely not of a class before the totals are enforced.

    Per class the floor(alpha * M_k) largest entries are kept and scaled by (M_k + 1e-6) / (their sum + 1e-6); 1e-6 is
    added everywhere and rows are normalised.

    Args:
        probs: (R, K).
        target_counts: (K,) M; scaled to sum to R.
        alpha: > 0, how many more entries than M_k to keep.

    Returns:
        (R, K) float64.
    """
    check_number('alpha', alpha, low=0.0, low_open=True, owner='darp_denoise')
    values = probs.double()
    wanted = _scaled(target_counts, values, None)
    place = torch.empty_like(values, dtype=torch.int64)
    order = values.argsort(0, descending=True)
    place.scatter_(0, order, torch.arange(len(values), device=values.device).unsqueeze(1).expand_as(order))
    most = (alpha * wanted + 1e-9).floor()  # whole numbers stay what they are after scaling
    kept = torch.where(place < most, values, 0.0)
    kept = kept * ((wanted + 1e-6) / (kept.sum(0) + 1e-6)) + 1e-6
    return kept / kept.sum(1, keepdim=True)


def darp_duals(
    probs: Tensor,
    target_counts: Tensor,
    *,
    row_mass: Tensor | None = None,
    start: Tensor | None = None,
    iterations: int = 10,
    newton_steps: int = 30,
) -> Tensor:
    """The multipliers nu_k of the refinement below, by alternating rows and classes.

    Solves for X >= 0: minimise sum_i (1 / H_i) KL(X_i || A_i) subject to row sums r_i and column sums M_k. Its solution
    has the form ``X_ik = r_i * A_ik exp(-nu_k H_i) / Z_i`` with the entropies H_i: rows the model is sure about (H = 0)
    stay, unsure ones give way. Each iteration normalises the rows and then solves, for every class,
    ``sum_i x_i A_ik exp(-nu_k H_i) = M_k`` by Newton steps on the logarithm, which is convex and decreasing in nu.

    Args:
        probs: (R, K) A, rows summing to 1.
        target_counts: (K,) M >= 0; scaled to sum to sum(r).
        row_mass: (R,) r >= 0, for rows that count less (regions at the border) or nothing; ``None`` = 1.
        start: (K,) multipliers to begin with, of a similar problem; ``None`` = 0. Few iterations do then.
        iterations: outer iterations, >= 1.
        newton_steps: >= 1.

    Returns:
        (K,) float64. Where M is out of reach (a class needs more than its sure rows leave) |nu| ends at 1e4.
    """
    check_integer('iterations', iterations, low=1, owner='darp_duals')
    check_integer('newton_steps', newton_steps, low=1, owner='darp_duals')
    log_a, unsure, mass = _prepared(probs, row_mass)
    log_wanted = _scaled(target_counts, log_a, mass).clamp_min(1e-12).log()
    log_mass = mass.clamp_min(1e-300).log()
    nu = torch.zeros_like(log_wanted) if start is None else start.to(log_wanted)
    for _ in range(iterations):
        log_rows = log_mass - torch.logsumexp(log_a - nu * unsure, 1)
        base = log_a + log_rows.unsqueeze(1)
        for _ in range(newton_steps):
            terms = base - nu * unsure
            log_sum = torch.logsumexp(terms, 0)
            slope = ((terms - log_sum).exp_() * unsure).sum(0)
            nu = (nu + (log_sum - log_wanted) / slope.clamp_min(1e-12)).clamp(-MAX_DUAL, MAX_DUAL)
    return nu


def apply_duals(probs: Tensor, nu: Tensor) -> Tensor:
    """Norm(A_ik exp(-nu_k H_i)): refine rows (R, K) with multipliers found on these or on other rows. float64."""
    log_a, unsure, _ = _prepared(probs, None)
    return torch.softmax(log_a - nu.to(log_a) * unsure, 1)


def darp_refine(
    probs: Tensor,
    target_counts: Tensor,
    *,
    row_mass: Tensor | None = None,
    iterations: int = 10,
    newton_steps: int = 30,
) -> Tensor:
    """Soft labels closest to the predictions whose class totals are the wanted ones; see :func:`darp_duals`.

    Args:
        probs: (R, K) predictions of R regions or images (not pixels).
        target_counts, row_mass, iterations, newton_steps: see :func:`darp_duals`.

    Returns:
        (R, K) float64; rows sum to 1, columns (weighted by ``row_mass``) to M as far as the iterations have come.

    Source: Kim et al., Distribution aligning refinery of pseudo-label, NeurIPS 2020.
    """
    nu = darp_duals(probs, target_counts, row_mass=row_mass, iterations=iterations, newton_steps=newton_steps)
    return apply_duals(probs, nu)


def _prepared(probs: Tensor, row_mass: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """(log A (R, K), entropies (R, 1), row mass (R,)), float64."""
    values = probs.double()
    log_a = values.clamp_min(1e-30).log()
    unsure = (values * -(values + 1e-6).log()).sum(1, keepdim=True).clamp_min(0.0)
    mass = values.new_ones(len(values)) if row_mass is None else row_mass.to(values)
    return log_a, unsure, mass


def _scaled(target_counts: Tensor, like: Tensor, row_mass: Tensor | None) -> Tensor:
    """M scaled to the total mass of the rows."""
    wanted = target_counts.to(like)
    total = like.new_tensor(float(len(like))) if row_mass is None else row_mass.sum()
    return wanted / wanted.sum().clamp_min(1e-12) * total
