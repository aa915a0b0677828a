"""``imbdense.ReweightedCELoss``."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_number
from imbdense.core.losses import foreground_weights
from imbdense.core.stats import WEIGHT_SCHEMES, class_weight_tensor, warn_of_large_weights
from imbdense.mm.losses.base import loss_arguments
from imbdense.mm.losses.shifted import ShiftedLoss, Terms
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class ReweightedCELoss(ShiftedLoss):
    """Cross-entropy with class weights counted from the labels.

    ``loss = sum_i w_{y_i} CE_i / sum_i w_{y_i}``; see :func:`imbdense.core.losses.reweighted_ce_loss` for shapes and
    edge cases, :func:`imbdense.core.stats.class_weights` for the schemes, :class:`CountedLoss` for where the counts
    come from and for the state. On logits with a background channel the weights have mean one over the objects and
    the background weighs 1.

    Args:
        scheme: 'inverse', 'sqrt', 'log', 'median', 'effective', 'enet' or 'randla'.
        gamma: exponent of 'inverse' and 'sqrt', in [0, 2]; 0 = plain cross-entropy.
        beta: of 'effective', in [0, 1) or 'auto'.
        others: see :class:`ShiftedLoss`.
    """

    scheme: str = 'inverse'
    gamma: float = 1.0
    beta: float | Literal['auto'] = 'auto'
    loss_name: str = 'loss_ce_reweighted'

    card = 'reweighted_ce'
    tasks = ('segmentation', 'detection', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice('scheme', self.scheme, WEIGHT_SCHEMES, owner='ReweightedCELoss')
        self.gamma = check_number('gamma', self.gamma, low=0.0, high=2.0, owner='ReweightedCELoss')
        if self.beta != 'auto':
            self.beta = check_number('beta', self.beta, low=0.0, high=1.0 - 1e-15, owner='ReweightedCELoss')

    def _weights(self, counts: Tensor) -> Tensor:
        """(C,) weights of the scheme; zero for a class taken out."""
        pixels = None if self.image_pixels is None else torch.as_tensor(self.image_pixels).to(counts.device)
        weights = class_weight_tensor(
            counts, self.scheme, gamma=self.gamma, beta=self.beta, image_pixels=pixels  # type: ignore[arg-type]
        )
        return torch.where(counts == 0, 0.0, weights) if self.empty_class == 'mask' else weights

    def terms(self, counts: Tensor, channels: int) -> Terms:
        """No shift; the weights of the scheme."""
        weights = self._weights(counts)
        if self.known_counts() is not None:
            warn_of_large_weights(weights, counts, owner='ReweightedCELoss')
        return None, foreground_weights(
            weights, counts, channels, use_sigmoid=self.use_sigmoid, owner='ReweightedCELoss'
        )

    def log_change(self, counts: Tensor) -> Tensor:
        """Weights w multiply the encoded prior by w."""
        return self._weights(counts).clamp_min(1e-12).log()
