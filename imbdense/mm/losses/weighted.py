"""Counted losses that also take a weight per class, made from the counts by a named scheme."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_number
from imbdense.core.losses import foreground_weights
from imbdense.core.stats import WEIGHT_SCHEMES, class_weight_tensor, warn_of_large_weights
from imbdense.mm.losses.base import loss_arguments
from imbdense.mm.losses.counted import CountedLoss


@loss_arguments
class WeightedLoss(CountedLoss):
    """Base of the losses with optional class weights from counts.

    Args:
        scheme: one of :data:`~imbdense.core.stats.WEIGHT_SCHEMES`; ``None`` = no weights.
        gamma: exponent of 'inverse' and 'sqrt', in [0, 2].
        beta: of 'effective', in [0, 1) or 'auto'.
        others: see :class:`CountedLoss`.
    """

    scheme: str | None = None
    gamma: float = 1.0
    beta: float | Literal['auto'] = 'auto'

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        if self.scheme is not None:
            check_choice('scheme', self.scheme, WEIGHT_SCHEMES, owner=owner)
        self.gamma = check_number('gamma', self.gamma, low=0.0, high=2.0, owner=owner)
        if self.beta != 'auto':
            self.beta = check_number('beta', self.beta, low=0.0, high=1.0 - 1e-15, owner=owner)

    def scheme_weights(self, counts: Tensor) -> Tensor:
        """(C,) weights of the scheme, all one without; zero for a class taken out."""
        if self.scheme is None:
            weights = torch.ones_like(counts, dtype=torch.float64)
        else:
            pixels = None if self.image_pixels is None else torch.as_tensor(self.image_pixels).to(counts.device)
            weights = class_weight_tensor(
                counts, self.scheme, gamma=self.gamma, beta=self.beta, image_pixels=pixels  # type: ignore[arg-type]
            )
        return torch.where(counts == 0, 0.0, weights) if self.empty_class == 'mask' else weights

    def channel_weights(self, pred: Tensor, counts: Tensor) -> Tensor | None:
        """Weights for the channels of ``pred``, with the head's fixed ones; made once while the counts are fixed."""
        if self.scheme is None:
            return self.with_fixed(None, pred)
        key = ('weights', pred.shape[1], pred.device)
        if key in self._cache:
            return self._cache[key]
        weights, known, owner = self.scheme_weights(counts), self.known_counts() is not None, type(self).__name__
        if known:
            warn_of_large_weights(weights, counts, owner=owner)
        result = self.with_fixed(foreground_weights(weights, counts, pred.shape[1], owner=owner), pred)
        if known:
            self._cache[key] = result
        return result

    def log_change(self, counts: Tensor) -> Tensor:
        """Weights w multiply the encoded prior by w."""
        return self.scheme_weights(counts).clamp_min(1e-12).log()
