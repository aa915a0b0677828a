"""``imbdense.LADELoss``."""

from __future__ import annotations

from torch import Tensor

from imbdense.core.checks import check_choice, check_number
from imbdense.core.losses import lade_loss
from imbdense.core.reduction import zero_with_graph
from imbdense.core.stats import PriorLedger
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.softmax import SoftmaxLoss
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class LADELoss(SoftmaxLoss):
    """Regulariser that holds each logit at a density ratio; beside BalancedSoftmaxLoss, with weight 0.1.

    ``loss = -sum_c pi_c ( mean_{y_i = c} z_ic - T_c - lambda T_c^2 )``; see :func:`imbdense.core.losses.lade_loss` for
    the formula of T_c, shapes and edge cases, :class:`CountedLoss` for where the counts come from and for the state.
    The published method is ``loss_decode = [BalancedSoftmaxLoss, LADELoss]``, or both in a ``MixedLoss``. While
    deferred: zero.

    Statistics are those of the batch of each rank. Ledger: it declares nothing; the loss beside it decides what the
    model encodes.

    Args:
        remine_lambda: >= 0.
        loss_weight: 0.1 (the paper; 0.05 for iNaturalist).
        normalizer: must stay 'weight_sum', the prior-weighted sum over classes.
        class_weight: must stay ``None``.
        others: see :class:`SoftmaxLoss`.
    """

    remine_lambda: float = 0.1
    loss_weight: float = 0.1
    loss_name: str = 'loss_lade'

    card = 'lade'
    tasks = ('segmentation', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        self.remine_lambda = check_number('remine_lambda', self.remine_lambda, low=0.0, owner='LADELoss')
        check_choice('normalizer', self.normalizer, ('weight_sum',), owner='LADELoss')
        check_choice('class_weight', self.class_weight, (None,), owner='LADELoss')

    def corrected(self, pred: Tensor, target: Tensor, counts: Tensor, call: LossCall) -> Tensor:
        """The bound of every class, weighted by the prior."""
        options = {name: value for name, value in call.options.items() if name != 'normalizer'}
        return lade_loss(
            pred, target, counts, remine_lambda=self.remine_lambda, empty_class=self.empty_class, **options
        )

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Nothing; running counts go on."""
        self.counts_for(pred, target, call)
        return zero_with_graph(pred)

    def log_change(self, counts: Tensor) -> Tensor:
        """None: alone, its optimum is the log posterior of the data."""
        return counts * 0.0

    def declare_correction(self, ledger: PriorLedger) -> None:
        """Nothing: a regulariser does not decide what the model encodes, wherever it stands in the list."""
