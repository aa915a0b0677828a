"""``imbdense.LogitAdjustLoss``."""

from __future__ import annotations

from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.losses import prior_shift
from imbdense.core.stats import fill_empty_classes
from imbdense.mm.losses.base import loss_arguments
from imbdense.mm.losses.shifted import ShiftedLoss, Terms
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class LogitAdjustLoss(ShiftedLoss):
    """Cross-entropy on logits shifted by tau times the log class prior.

    ``loss = mean_i -log softmax(z_i + tau log pi)_{y_i}``; the unshifted logits, used at test time, then minimise the
    balanced error. See :func:`imbdense.core.losses.logit_adjust_loss` for shapes and edge cases,
    :class:`CountedLoss` for where the counts come from and for the state.

    Args:
        tau: strength >= 0; 0 = plain cross-entropy, 1 = full correction.
        center: with a background channel or sigmoids, do not move the decision object / background.
        others: see :class:`ShiftedLoss`.
    """

    tau: float = 1.0
    center: bool = True
    loss_name: str = 'loss_ce_logit_adjust'

    card = 'logit_adjust'
    tasks = ('segmentation', 'detection', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        self.tau = check_number('tau', self.tau, low=0.0, owner=type(self).__name__)

    def terms(self, counts: Tensor, channels: int) -> Terms:
        """The shift tau * log(pi); no weights."""
        shift = prior_shift(
            counts, channels, tau=self.tau, center=self.center, use_sigmoid=self.use_sigmoid,
            empty_class=self.empty_class, owner=type(self).__name__,
        )
        return shift, None

    def log_change(self, counts: Tensor) -> Tensor:
        """Training with z + tau log n leaves a model whose prior is divided by n ** tau."""
        return -self.tau * fill_empty_classes(counts).log()
