"""``imbdense.ReweightedCELoss``."""

from __future__ import annotations

from torch import Tensor

from imbdense.core.checks import check_choice
from imbdense.core.losses import foreground_weights
from imbdense.core.stats import WEIGHT_SCHEMES, warn_of_large_weights
from imbdense.mm.losses.base import loss_arguments
from imbdense.mm.losses.shifted import ShiftedLoss, Terms
from imbdense.mm.losses.weighted import WeightedLoss
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class ReweightedCELoss(WeightedLoss, ShiftedLoss):
    """Cross-entropy with class weights counted from the labels.

    ``loss = sum_i w_{y_i} CE_i / sum_i w_{y_i}``; see :func:`imbdense.core.losses.reweighted_ce_loss` for shapes and
    edge cases, :func:`imbdense.core.stats.class_weights` for the schemes, :class:`CountedLoss` for where the counts
    come from and for the state. On logits with a background channel the weights have mean one over the objects and
    the background weighs 1.

    Args:
        scheme: 'inverse', 'sqrt', 'log', 'median', 'effective', 'enet' or 'randla'.
        others: see :class:`WeightedLoss` and :class:`ShiftedLoss`.
    """

    scheme: str = 'inverse'
    loss_name: str = 'loss_ce_reweighted'

    card = 'reweighted_ce'
    tasks = ('segmentation', 'detection', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice('scheme', self.scheme, WEIGHT_SCHEMES, owner='ReweightedCELoss')

    def terms(self, counts: Tensor, channels: int) -> Terms:
        """No shift; the weights of the scheme."""
        weights = self.scheme_weights(counts)
        if self.known_counts() is not None:
            warn_of_large_weights(weights, counts, owner='ReweightedCELoss')
        return None, foreground_weights(
            weights, counts, channels, use_sigmoid=self.use_sigmoid, owner='ReweightedCELoss'
        )

    def log_change(self, counts: Tensor) -> Tensor:
        """Weights w multiply the encoded prior by w."""
        return self.scheme_weights(counts).clamp_min(1e-12).log()
