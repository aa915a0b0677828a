"""Guided loss scaling: the ratio that ties the size of a classification loss to a loss that sees foreground only.

Without sampling or focusing, the classification loss of a dense head is dominated by ~10^5 easy background samples:
its gradient is orders of magnitude too large at first, and a fixed smaller weight lets the network escape to "all
background". The box regression loss sees foreground only and has a sane size, so it guides::

    r = stopgrad(L_guide / L_cls),    L = L_guide + w * r * L_cls

Three rules say which r a step uses: ``iter`` (of this batch), ``warmup_freeze`` (mean of, or last of, the first
batches, then constant) and ``ema`` (ratio of two moving averages). All arithmetic is on detached float32 scalars and
decided with ``torch.where``, so that nothing makes an accelerator wait.

A batch without positives (L_guide = 0), with L_cls = 0, or with a loss that is not finite is not *usable*: it never
enters the state, and the step takes the last r. Before there is one it takes 1 / (1 + L_cls), which bounds the scaled
loss by one and still lets the background learn.

Source: Chen et al., Is Heuristic Sampling Necessary in Training Deep Object Detectors?, IEEE TIP 2021 (equations 5-6:
``iter``; its released code: ``warmup_freeze`` with the last of 100 ratios). The running mean and ``ema`` are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from imbdense.core.checks import check_choice

GUIDED_MODES: tuple[str, ...] = ('warmup_freeze', 'iter', 'ema')
GUIDES: tuple[str, ...] = ('mean', 'sum')
WARMUP_STATS: tuple[str, ...] = ('mean', 'last')


class GuidedState(NamedTuple):
    """What is remembered between steps: four 0-dim tensors.

    Attributes:
        ratio: r of the last usable batch, float32; 0 before there was one.
        ema_cls, ema_guide: moving averages for ``ema``, float32, not bias-corrected (the correction cancels in r).
        num_updates: usable batches that entered, int64; during a frozen run it stays at the length of the warm-up.
    """

    ratio: Tensor
    ema_cls: Tensor
    ema_guide: Tensor
    num_updates: Tensor


def initial_guided_state() -> GuidedState:
    """The state before the first step."""
    return GuidedState(torch.zeros(()), torch.zeros(()), torch.zeros(()), torch.zeros((), dtype=torch.int64))


def term_value(term: Tensor | Sequence[Tensor]) -> Tensor:
    """Detached float32 value of a loss term as mmengine sums it: the mean of a tensor; for a list the sum of means."""
    parts = [term] if isinstance(term, Tensor) else list(term)
    return torch.stack([part.detach().float().mean() for part in parts]).sum()


def guide_value(terms: Sequence[Tensor | Sequence[Tensor]], guide: str = 'mean') -> Tensor:
    """Return L_guide: 'mean' or 'sum' of the values of several guide terms (box and centre-ness loss of FCOS)."""
    check_choice('guide', guide, GUIDES)
    values = torch.stack([term_value(term) for term in terms])
    return values.mean() if guide == 'mean' else values.sum()


def is_usable(cls: Tensor, guide: Tensor) -> Tensor:
    """Whether a ratio of these two means anything: both finite and above zero. Bool, 0-dim."""
    return torch.isfinite(cls) & torch.isfinite(guide) & (cls > 0) & (guide > 0)


def loss_ratio(cls: Tensor, guide: Tensor, *, eps: float = 1e-12, clamp: tuple[float, float] = (1e-6, 1e6)) -> Tensor:
    """r = guide / max(cls, eps), limited to ``clamp``."""
    return (guide / cls.clamp_min(eps)).clamp(*clamp)


def first_ratio(cls: Tensor) -> Tensor:
    """1 / (1 + L_cls): the ratio before any usable batch; 1 where L_cls is not finite."""
    return 1.0 / (1.0 + torch.where(torch.isfinite(cls), cls, 0.0).clamp_min(0.0))


def guided_step(
    state: GuidedState,
    cls: Tensor,
    guide: Tensor,
    *,
    mode: str = 'warmup_freeze',
    warmup_iters: int = 20,
    warmup_stat: str = 'mean',
    momentum: float = 0.99,
    eps: float = 1e-12,
    clamp: tuple[float, float] = (1e-6, 1e6),
) -> GuidedState:
    """Return the state after a batch with the losses ``cls`` and ``guide`` (0-dim, detached, float32).

    With r_t the ratio of the batch, n the usable batches before it, and T = ``warmup_iters``::

        iter            r = r_t
        warmup_freeze   n < T: r = mean(r_0 .. r_t) or r_t (``warmup_stat``);    n >= T: r stays
        ema             r = E_guide / E_cls,   E <- momentum * E + (1 - momentum) * L

    A batch that is not usable returns the state as it was.
    """
    check_choice('mode', mode, GUIDED_MODES)
    check_choice('warmup_stat', warmup_stat, WARMUP_STATS)
    enters = is_usable(cls, guide)
    ema_cls, ema_guide = state.ema_cls, state.ema_guide
    if mode == 'ema':
        ema_cls = momentum * ema_cls + (1.0 - momentum) * cls
        ema_guide = momentum * ema_guide + (1.0 - momentum) * guide
        ratio = loss_ratio(ema_cls, ema_guide, eps=eps, clamp=clamp)
    else:
        ratio = loss_ratio(cls, guide, eps=eps, clamp=clamp)
    if mode == 'warmup_freeze':
        enters = enters & (state.num_updates < warmup_iters)
        if warmup_stat == 'mean':
            ratio = state.ratio + (ratio - state.ratio) / (state.num_updates + 1)
    return GuidedState(
        torch.where(enters, ratio, state.ratio),
        torch.where(enters, ema_cls, state.ema_cls),
        torch.where(enters, ema_guide, state.ema_guide),
        state.num_updates + enters.to(torch.int64),
    )


def ratio_in_force(state: GuidedState, cls: Tensor) -> Tensor:
    """The r a step uses: that of the state, or :func:`first_ratio` of its classification loss before there is one."""
    return torch.where(state.num_updates > 0, state.ratio, first_ratio(cls))
