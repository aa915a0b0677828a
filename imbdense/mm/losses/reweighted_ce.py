"""``imbdense.ReweightedCELoss``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_number
from imbdense.core.losses import foreground_weights
from imbdense.core.stats import WEIGHT_SCHEMES, class_weight_tensor
from imbdense.mm.class_counts import ClassCountsSource
from imbdense.mm.losses.counted import CountedLoss
from imbdense.registry import MODELS


@MODELS.register_module()
class ReweightedCELoss(CountedLoss):
    """Cross-entropy with class weights counted from the labels.

    ``loss = sum_i w_{y_i} CE_i / sum_i w_{y_i}``; see :func:`imbdense.core.losses.reweighted_ce_loss` for shapes and
    edge cases, :func:`imbdense.core.stats.class_weights` for the schemes, :class:`CountedLoss` for where the counts
    come from and for the state. On logits with a background channel the weights have mean one over the objects and
    the background weighs 1.

    Args:
        scheme: 'inverse', 'sqrt', 'log', 'median', 'effective', 'enet' or 'randla'.
        gamma: exponent of 'inverse' and 'sqrt', in [0, 2]; 0 = plain cross-entropy.
        beta: of 'effective', in [0, 1) or 'auto'.
        focal_gamma, focal_alpha: focusing of the sigmoid form, so that it can stand in for FocalLoss.
        others: see :class:`CountedLoss`.
    """

    card = 'reweighted_ce'
    tasks = ('segmentation', 'detection', 'points', 'volumes')

    def __init__(
        self,
        scheme: str = 'inverse',
        gamma: float = 1.0,
        beta: float | Literal['auto'] = 'auto',
        class_counts: ClassCountsSource | None = None,
        count: str | None = None,
        empty_class: str = 'one',
        background: bool | None = None,
        force: bool = False,
        use_sigmoid: bool = False,
        focal_gamma: float = 0.0,
        focal_alpha: float | None = None,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_ce_reweighted',
        reduction: str = 'mean',
        normalizer: str = 'weight_sum',
        ignore_index: int | None = None,
        class_weight: Sequence[float] | Tensor | None = None,
    ) -> None:
        super().__init__(
            class_counts, count, empty_class, background, force, use_sigmoid, focal_gamma, focal_alpha,
            loss_weight, loss_name, reduction, normalizer, ignore_index, class_weight,
        )
        self.scheme = check_choice('scheme', scheme, WEIGHT_SCHEMES, owner='ReweightedCELoss')
        self.gamma = check_number('gamma', gamma, low=0.0, high=2.0, owner='ReweightedCELoss')
        self.beta = beta if beta == 'auto' else check_number(
            'beta', beta, low=0.0, high=1.0 - 1e-15, owner='ReweightedCELoss'
        )

    def _weights(self, counts: Tensor) -> Tensor:
        """(C,) weights of the scheme; zero for a class taken out."""
        pixels = None if self.image_pixels is None else torch.as_tensor(self.image_pixels).to(counts.device)
        weights = class_weight_tensor(
            counts, self.scheme, gamma=self.gamma, beta=self.beta, image_pixels=pixels  # type: ignore[arg-type]
        )
        return torch.where(counts == 0, 0.0, weights) if self.empty_class == 'mask' else weights

    def terms(self, counts: Tensor, channels: int) -> tuple[Tensor | None, Tensor | None]:
        """No shift; the weights of the scheme."""
        weights = self._weights(counts)
        return None, foreground_weights(
            weights, counts, channels, use_sigmoid=self.use_sigmoid, owner='ReweightedCELoss'
        )

    def log_change(self, counts: Tensor) -> Tensor:
        """Weights w multiply the encoded prior by w."""
        return self._weights(counts).clamp_min(1e-12).log()
