"""``imbdense.GuidedLossBalancer``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from mmengine.logging import MessageHub, MMLogger
from torch import Tensor, nn

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.losses.guided_scaling import (
    GUIDED_MODES,
    GUIDES,
    WARMUP_STATS,
    GuidedState,
    guide_value,
    guided_step,
    initial_guided_state,
    is_usable,
    ratio_in_force,
    term_value,
)
from imbdense.core.reduction import full_precision
from imbdense.registry import MODELS

MAX_TERMS = 8
"""Loss terms for which ``uncertainty`` holds a parameter: one classification group and up to seven guides."""

Losses = dict[str, Any]
"""name -> tensor, or list of tensors (one per pyramid level)."""


@MODELS.register_module()
class GuidedLossBalancer(nn.Module):
    """Scale the classification loss to the size of the foreground-only losses, with no other hyper-parameter.

    ``L_cls -> cls_weight * r * L_cls`` with ``r = stopgrad(L_guide / L_cls)``, see
    :mod:`imbdense.core.losses.guided_scaling` for the three rules, for batches without positives and for losses that
    are not finite. Lists (one item per pyramid level) are scaled item by item with the r of their sums.

    With ``uncertainty``, each term is also weighted by a learned variance: ``L_i * exp(-s_i) / 2`` and
    ``sum_i s_i / 2`` is added as ``loss_guided_reg`` (s_i = log sigma_i^2, 0 at first; Kendall et al. 2018). The
    order is: classification, then the guides as they are given.

    State: ``ratio``, ``ema_cls``, ``ema_guide``, ``num_updates`` (usable batches) are persistent buffers and ``s`` is a
    parameter, so a resumed run goes on bit by bit and has no second warm-up. In eval mode nothing changes.
    Precision: r is computed in float32 from detached values and multiplies full-precision losses, also under autocast.
    Ranks: with ``sync`` the losses of all ranks with a usable batch are averaged before the rules act, so r is equal on
    all ranks to the last bit; one all-reduce of five numbers per step, and none any more once r is frozen. Every rank
    must call it equally often. (The released code keeps a ratio per rank and averages once, when it freezes.)
    Device synchronisation: none, except that ``num_updates`` is read when a warm-up should be over, to stop the
    all-reduce: once, if every batch was usable.

    Args:
        mode: 'warmup_freeze' (needs a learning rate warm-up; it is checked and warned), 'iter' (the paper) or 'ema'.
        cls_weight: w, > 0; the paper has 1 for dense heads and RPN, 2 for the box head of R-CNN.
        guide: 'mean' or 'sum' of several guides.
        warmup_iters: usable batches before r is frozen.
        warmup_stat: 'mean' (running mean of the ratios) or 'last'; with 100, 'last' and ``uncertainty`` it is the
            released code.
        momentum: of 'ema', in [0, 1].
        uncertainty: learn the variances.
        eps: smallest divisor.
        clamp: limits of r.
        sync: one r for all ranks.
    """

    card = 'sampling_free'
    tasks = ('detection', 'segmentation')
    ratio: Tensor
    ema_cls: Tensor
    ema_guide: Tensor
    num_updates: Tensor

    def __init__(
        self,
        mode: str = 'warmup_freeze',
        cls_weight: float = 1.0,
        guide: str = 'mean',
        warmup_iters: int = 20,
        warmup_stat: str = 'mean',
        momentum: float = 0.99,
        uncertainty: bool = False,
        eps: float = 1e-12,
        clamp: tuple[float, float] = (1e-6, 1e6),
        sync: bool = True,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.mode = check_choice('mode', mode, GUIDED_MODES, owner=owner)
        self.cls_weight = check_number('cls_weight', cls_weight, low=0.0, low_open=True, owner=owner)
        self.guide = check_choice('guide', guide, GUIDES, owner=owner)
        self.warmup_iters = check_integer('warmup_iters', warmup_iters, low=1, owner=owner)
        self.warmup_stat = check_choice('warmup_stat', warmup_stat, WARMUP_STATS, owner=owner)
        self.momentum = check_number('momentum', momentum, low=0.0, high=1.0, owner=owner)
        self.eps = check_number('eps', eps, low=0.0, low_open=True, owner=owner)
        self.clamp = check_limits(clamp, owner)
        self.sync = bool(sync)
        for name, value in initial_guided_state()._asdict().items():
            self.register_buffer(name, value)
        self.s = nn.Parameter(torch.zeros(MAX_TERMS)) if uncertainty else None
        self._next_look = self.warmup_iters  # calls until the warm-up can be over
        self._frozen = False

    def forward(self, losses: Mapping[str, Any], cls_keys: Sequence[str], guide_keys: Sequence[str]) -> Losses:
        """Return the losses with the classification terms scaled, and two numbers to be logged.

        Args:
            losses: name -> tensor or list of tensors. Terms that are in neither list pass unchanged.
            cls_keys: the classification terms; one r for all of them.
            guide_keys: the terms that see foreground only.

        Returns:
            a new dict in the order of ``losses``, plus ``guided_ratio`` (r) and ``raw_cls`` (the unscaled L_cls):
            detached, and without 'loss' in their names, so mmengine logs and does not train them. With
            ``uncertainty`` also ``loss_guided_reg``. The value of the scaled classification term says little: in the
            'iter' mode it always is ``cls_weight * L_guide``.

        Raises:
            KeyError: a key is missing; the message lists those there are.
        """
        self._check_keys(losses, cls_keys, guide_keys)
        cls = torch.stack([term_value(losses[key]) for key in cls_keys]).sum()
        guide = guide_value([losses[key] for key in guide_keys], self.guide)
        ratio = self._ratio(cls, guide)
        groups = [tuple(cls_keys), *((key,) for key in guide_keys)]
        factors = {key: factor for group, factor in zip(groups, self._factors(ratio, len(groups))) for key in group}
        scaled = {key: scale(term, factors.get(key)) for key, term in losses.items()}
        if self.s is not None:
            scaled['loss_guided_reg'] = self.s[: len(groups)].float().sum() / 2
        return {**scaled, 'guided_ratio': ratio, 'raw_cls': cls}

    def _factors(self, ratio: Tensor, count: int) -> list[Tensor | None]:
        """What the classification group and each guide are multiplied with; ``None`` = stays as it is."""
        if self.s is None:
            return [self.cls_weight * ratio, *[None] * (count - 1)]
        certainty = torch.exp(-self.s[:count].float()) / 2
        return [self.cls_weight * ratio * certainty[0], *certainty[1:]]

    # State ----------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _ratio(self, cls: Tensor, guide: Tensor) -> Tensor:
        """r of this step; in train mode the state takes the batch in first."""
        if self._frozen:
            return self.ratio.clone()
        state = GuidedState(self.ratio, self.ema_cls, self.ema_guide, self.num_updates)
        if not self.training:
            return ratio_in_force(state, cls)
        cls, guide = self._over_ranks(cls, guide)
        state = guided_step(
            state, cls, guide, mode=self.mode, warmup_iters=self.warmup_iters, warmup_stat=self.warmup_stat,
            momentum=self.momentum, eps=self.eps, clamp=self.clamp,
        )
        for name, value in state._asdict().items():
            getattr(self, name).copy_(value)
        self._look_whether_frozen()
        return ratio_in_force(state, cls)

    def _over_ranks(self, cls: Tensor, guide: Tensor) -> tuple[Tensor, Tensor]:
        """Mean of both losses over the ranks with a usable batch; with none of them, any finite L_cls and no guide."""
        if not (self.sync and dist.is_available() and dist.is_initialized()):
            return cls, guide
        usable, known = is_usable(cls, guide), torch.isfinite(cls)
        numbers = torch.stack([
            torch.where(usable, cls, 0.0), torch.where(usable, guide, 0.0), usable.float(),
            torch.where(known, cls, 0.0), known.float(),
        ])  # fmt: skip
        dist.all_reduce(numbers)
        sum_cls, sum_guide, ranks, any_cls, any_ranks = numbers.unbind()
        fallback = any_cls / any_ranks.clamp_min(1.0)
        divisor = ranks.clamp_min(1.0)
        return torch.where(ranks > 0, sum_cls / divisor, fallback), sum_guide / divisor

    def _look_whether_frozen(self) -> None:
        """Count the calls of a warm-up; read ``num_updates`` only when enough of them could have been usable."""
        if self.mode != 'warmup_freeze':
            return
        self._next_look -= 1
        if self._next_look <= 0:
            self._take_position()
            if self._frozen:
                warn_without_lr_warmup(self.warmup_iters)

    def _take_position(self) -> None:
        """Read from the buffer how much of the warm-up is left."""
        self._next_look = self.warmup_iters - int(self.num_updates)
        self._frozen = self.mode == 'warmup_freeze' and self._next_look <= 0

    def _load_from_state_dict(self, *arguments: Any) -> None:
        """A restored state may lie in the middle or behind the warm-up."""
        super()._load_from_state_dict(*arguments)
        self._take_position()

    def _check_keys(self, losses: Mapping[str, Any], cls_keys: Sequence[str], guide_keys: Sequence[str]) -> None:
        """Raise ``KeyError`` for keys that the head does not give, ``ValueError`` for wrong numbers of them."""
        owner = type(self).__name__
        missing = [key for key in (*cls_keys, *guide_keys) if key not in losses]
        if missing:
            raise KeyError(f'{owner}: the head gives no {missing}, but {list(losses)}. Set cls_keys and guide_keys.')
        if not cls_keys or not guide_keys or set(cls_keys) & set(guide_keys):
            raise ValueError(
                f'{owner}: cls_keys and guide_keys must name one term each at least and none twice, but are '
                f'{list(cls_keys)} and {list(guide_keys)}.'
            )
        if self.s is not None and 1 + len(guide_keys) > MAX_TERMS:
            raise ValueError(f'{owner}: uncertainty takes {MAX_TERMS - 1} guides at most, but got {list(guide_keys)}.')


def scale(term: Any, factor: Tensor | None) -> Any:
    """``term`` (a tensor or a list of them) times ``factor``, in full precision."""
    if factor is None:
        return term
    if isinstance(term, Tensor):
        return full_precision(term) * factor
    return [full_precision(part) * factor for part in term]


def check_limits(clamp: Sequence[float], owner: str) -> tuple[float, float]:
    """Two numbers, 0 < low < high."""
    if len(clamp) != 2:
        raise ValueError(f'{owner}: clamp must hold two numbers (low, high), but got {clamp!r}.')
    low = check_number('clamp[0]', clamp[0], low=0.0, low_open=True, owner=owner)
    return low, check_number('clamp[1]', clamp[1], low=low, low_open=True, owner=owner)


def warn_without_lr_warmup(iterations: int) -> None:
    """Warn when the runner's log shows that the learning rate did not rise during the last ``iterations``.

    A ratio frozen from the first batches at full learning rate is that of an unsettled network. What the schedule
    did is read from mmengine's message hub, where every run writes it, whatever schedulers it has; without a run
    nothing is said.
    """
    scalars = MessageHub.get_current_instance().log_scalars
    if 'train/lr' not in scalars:
        return
    rates = scalars['train/lr'].data[0][-iterations:]
    if len(rates) > 1 and rates[-1] <= rates[0] * (1 + 1e-6):
        MMLogger.get_current_instance().warning(
            f'GuidedLossBalancer: the learning rate did not rise during the first {iterations} iterations (now '
            f'{rates[-1]:.3g}). The ratio that is frozen now needs a learning rate warm-up: begin param_scheduler with '
            f"dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=100), or use mode='ema'."
        )
