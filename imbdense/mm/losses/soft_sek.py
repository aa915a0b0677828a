"""``imbdense.SoftSeKLoss`` and, for comparison, ``imbdense.OfficialSeKLoss``."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from imbdense.core.checks import check_choice, check_number
from imbdense.core.losses import official_sek_loss, soft_sek_from_table, soft_sek_table
from imbdense.core.losses.soft_sek import MODES
from imbdense.mm.losses.joint_change import ChangeCall, JointChangeLoss
from imbdense.registry import MODELS


@MODELS.register_module()
class SoftSeKLoss(JointChangeLoss):
    """One minus SeK, the metric of semantic change detection, on soft counts.

    False alarms, misses and wrong land cover all count, as they do in the metric; formula and edge cases:
    :func:`imbdense.core.losses.soft_sek_from_table`. Bounded and free of NaN, so it needs no warm-up.

    Ranks: kappa of a small batch is biased, so with ``sync`` the tables of all ranks are summed (one all-reduce of
    (S + 1)^2 numbers) before the ratio. ``Q = W Q_own + (Q_sum - W Q_own).detach()`` has the value of the sum, and W
    times the own gradient, which DistributedDataParallel's mean over W ranks turns into the gradient of one process
    with the whole batch. Every rank must call it equally often.

    State: with ``ema`` the table of earlier batches, ``ema_table``, in checkpoints; it starts anew when the number of
    classes changes.

    Args:
        mode: 'linear' or 'log'.
        sync: sum over ranks.
        ema: a in ``Q = (1 - a) Q_batch + a Q_before``, in [0, 1); 0 = none. In evaluation nothing is remembered.
        others: see :class:`JointChangeLoss`.
    """

    card = 'mamba_fcs'
    ema_table: Tensor

    def __init__(
        self,
        loss_weight: float = 1.0,
        mode: str = 'linear',
        sync: bool = True,
        ema: float = 0.0,
        loss_name: str = 'loss_soft_sek',
        start_iter: int = 0,
        ignore_index: int = 255,
    ) -> None:
        super().__init__(loss_weight, loss_name, start_iter, ignore_index)
        self.mode = check_choice('mode', mode, MODES, owner='SoftSeKLoss')
        self.sync = bool(sync)
        self.ema = check_number('ema', ema, low=0.0, high=1.0, owner='SoftSeKLoss')
        if self.ema == 1.0:
            raise ValueError('SoftSeKLoss: ema must be below 1, or no batch is ever looked at.')
        self.register_buffer('ema_table', torch.zeros(0, 0))

    def compute(self, call: ChangeCall) -> Tensor:
        """The loss of the summed table."""
        table = soft_sek_table(
            call.change_logits, call.land_logits, call.change, call.semantics, ignore_index=call.ignore_index
        )
        if self.sync:
            table = sum_with_own_gradient(table)
        return soft_sek_from_table(self._with_past(table), self.mode)

    def _with_past(self, table: Tensor) -> Tensor:
        """Mix in the batches before."""
        if not self.ema or not self.training:
            return table
        past = self.ema_table if self.ema_table.shape == table.shape else table.detach()
        mixed = (1 - self.ema) * table + self.ema * past
        self.ema_table = mixed.detach()
        return mixed

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        """Take a stored table of any size."""
        stored = state_dict.get(f'{prefix}ema_table')
        if stored is not None:
            self.ema_table = torch.zeros_like(stored, device=self.ema_table.device)
        super()._load_from_state_dict(state_dict, prefix, *arguments)


@MODELS.register_module()
class OfficialSeKLoss(JointChangeLoss):
    """The SeK loss as released with Mamba-FCS, with its defects (NaN included), to compare with.

    See :func:`imbdense.core.losses.official_sek_loss`. Needs a semantic head with ``unchanged_channel=True``. Each rank
    uses its own batch.

    Args:
        see :class:`JointChangeLoss`.
    """

    card = 'mamba_fcs'

    def __init__(
        self,
        loss_weight: float = 0.5,
        loss_name: str = 'loss_official_sek',
        start_iter: int = 0,
        ignore_index: int = 255,
    ) -> None:
        super().__init__(loss_weight, loss_name, start_iter, ignore_index)

    def compute(self, call: ChangeCall) -> Tensor:
        """The loss of this rank's batch."""
        if not call.unchanged_channel:
            raise ValueError('OfficialSeKLoss: the semantic head needs unchanged_channel=True (S + 1 channels).')
        return official_sek_loss(call.semantic_logits, call.change, call.semantics, ignore_index=call.ignore_index)


def sum_with_own_gradient(table: Tensor) -> Tensor:
    """The sum over ranks; its gradient is W times that of the own table, for DDP averages gradients over W ranks.

    **Collective** when a process group is initialised.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return table
    total = table.detach().clone()
    dist.all_reduce(total)
    own = dist.get_world_size() * table
    return own + (total - own).detach()
