"""``imbdense.LogitAdjustLoss``."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.losses import prior_shift
from imbdense.core.stats import fill_empty_classes
from imbdense.mm.class_counts import ClassCountsSource
from imbdense.mm.losses.counted import CountedLoss
from imbdense.registry import MODELS


@MODELS.register_module()
class LogitAdjustLoss(CountedLoss):
    """Cross-entropy on logits shifted by tau times the log class prior.

    ``loss = mean_i -log softmax(z_i + tau log pi)_{y_i}``; the unshifted logits, used at test time, then minimise the
    balanced error. See :func:`imbdense.core.losses.logit_adjust_loss` for shapes and edge cases,
    :class:`CountedLoss` for where the counts come from and for the state.

    Args:
        tau: strength >= 0; 0 = plain cross-entropy, 1 = full correction.
        center: with a background channel or sigmoids, do not move the decision object / background.
        focal_gamma, focal_alpha: focusing of the sigmoid form, so that it can stand in for FocalLoss.
        others: see :class:`CountedLoss`.
    """

    card = 'logit_adjust'
    tasks = ('segmentation', 'detection', 'points', 'volumes')

    def __init__(
        self,
        tau: float = 1.0,
        center: bool = True,
        class_counts: ClassCountsSource | None = None,
        count: str | None = None,
        empty_class: str = 'one',
        background: bool | None = None,
        force: bool = False,
        use_sigmoid: bool = False,
        focal_gamma: float = 0.0,
        focal_alpha: float | None = None,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_ce_logit_adjust',
        reduction: str = 'mean',
        normalizer: str = 'weight_sum',
        ignore_index: int | None = None,
        class_weight: Sequence[float] | Tensor | None = None,
    ) -> None:
        super().__init__(
            class_counts, count, empty_class, background, force, use_sigmoid, focal_gamma, focal_alpha,
            loss_weight, loss_name, reduction, normalizer, ignore_index, class_weight,
        )
        self.tau = check_number('tau', tau, low=0.0, owner=type(self).__name__)
        self.center = bool(center)

    def terms(self, counts: Tensor, channels: int) -> tuple[Tensor | None, Tensor | None]:
        """The shift tau * log(pi); no weights."""
        shift = prior_shift(
            counts, channels, tau=self.tau, center=self.center, use_sigmoid=self.use_sigmoid,
            empty_class=self.empty_class, owner=type(self).__name__,
        )
        return shift, None

    def log_change(self, counts: Tensor) -> Tensor:
        """Training with z + tau log n leaves a model whose prior is divided by n ** tau."""
        return -self.tau * fill_empty_classes(counts).log()
