"""``imbdense.UnchangedConsistencyLoss``."""

from __future__ import annotations

from torch import Tensor

from imbdense.core.checks import check_choice
from imbdense.core.losses import unchanged_consistency_loss
from imbdense.core.losses.unchanged_consistency import KINDS
from imbdense.mm.losses.joint_change import ChangeCall, JointChangeLoss
from imbdense.registry import MODELS


@MODELS.register_module()
class UnchangedConsistencyLoss(JointChangeLoss):
    """Land cover of the two dates should agree where nothing changed.

    'mse' (Mamba-FCS), 'mse_both' (ChangeMask in torchange) or 'cosine' (Bi-SRNet), see
    :func:`imbdense.core.losses.unchanged_consistency_loss`. A channel for "unchanged" takes part in the softmax of the
    first two; the third leaves it out. Stateless; each rank uses its own batch.

    Args:
        kind: see above.
        others: see :class:`JointChangeLoss`.

    Raises:
        ValueError: not exactly two dates.
    """

    card = 'mamba_fcs'

    def __init__(
        self,
        loss_weight: float = 0.05,
        kind: str = 'mse',
        loss_name: str = 'loss_unchanged',
        start_iter: int = 0,
        ignore_index: int = 255,
    ) -> None:
        super().__init__(loss_weight, loss_name, start_iter, ignore_index)
        self.kind = check_choice('kind', kind, KINDS, owner='UnchangedConsistencyLoss')

    def compute(self, call: ChangeCall) -> Tensor:
        """The loss of this rank's batch."""
        logits = call.land_logits if self.kind == 'cosine' else call.semantic_logits
        if len(logits) != 2:
            raise ValueError(f'UnchangedConsistencyLoss: needs two dates, but got {len(logits)}.')
        return unchanged_consistency_loss(
            logits[0], logits[1], call.change, kind=self.kind, ignore_index=call.ignore_index
        )
