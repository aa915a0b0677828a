"""``imbdense.InfluenceBalancedLoss``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.losses import influence_balanced_loss
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.softmax import SoftmaxLoss
from imbdense.mm.losses.weighted import WeightedLoss
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class InfluenceBalancedLoss(WeightedLoss, SoftmaxLoss):
    """Cross-entropy divided by each element's influence on the last layer; needs FeatureTapHook.

    ``loss = mean_i w_{y_i} CE_i alpha / ( ||p_i - onehot||_1 ||h_i||_1 + 1e-3 )`` with h the features that the
    classifier saw; see :func:`imbdense.core.losses.influence_balanced_loss` for shapes and edge cases,
    :class:`CountedLoss` for where the counts come from and for the state. Meant for the second part of a training:
    let ``DeferredRebalanceHook`` switch it on; until then it is cross-entropy and needs no features.

    ``imbdense.FeatureTapHook`` hands the features over before every call, from any decode head or box head. Features
    of another resolution than the labels (mmseg resizes its logits) have their norm interpolated.

    Ledger: log w_c, exact for two classes.

    Args:
        alpha: > 0; choose it near the typical ||h||_1, so that the loss stays in the range of cross-entropy.
        scheme, gamma, beta: class weights, see :class:`WeightedLoss`; without background channel scaled to mean 1
            over the classes.
        normalizer: 'valid' (the reference), or another of :func:`imbdense.core.reduction.reduce_loss`.
        others: see :class:`SoftmaxLoss`.
    """

    alpha: float = 1000.0
    scheme: str | None = 'inverse'
    normalizer: str = 'valid'
    loss_name: str = 'loss_ib'

    card = 'influence_balanced'
    tasks = ('segmentation', 'detection', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        self.alpha = check_number('alpha', self.alpha, low=0.0, low_open=True, owner='InfluenceBalancedLoss')
        self._feature_norm: Tensor | None = None

    def take_features(self, features: Tensor) -> None:
        """Keep the 1-norm over dim 1 of what the classifier is about to see, (N, D, *spatial) or (P, D)."""
        self._feature_norm = features.detach().abs().sum(1, dtype=torch.float32)

    def scheme_weights(self, counts: Tensor) -> Tensor:
        """Weights of the scheme, scaled to mean one over the classes."""
        weights = super().scheme_weights(counts)
        return weights * (weights.numel() / weights.sum())

    def corrected(self, pred: Tensor, target: Tensor, counts: Tensor, call: LossCall) -> Tensor:
        """Divide by the influence."""
        return influence_balanced_loss(
            pred, target, self._norm_for(target), alpha=self.alpha, class_weight=self.channel_weights(pred, counts),
            class_counts=counts, empty_class=self.empty_class, **call.options,
        )

    def _norm_for(self, target: Tensor) -> Tensor:
        """The norm of the features at every label; used once, so that a stale one is never taken."""
        norm, self._feature_norm = self._feature_norm, None
        if norm is None or norm.shape[0] != target.shape[0] or norm.ndim != target.ndim:
            came = 'none came' if norm is None else f'features of shape {tuple(norm.shape)} came'
            raise ValueError(
                f'InfluenceBalancedLoss needs the features of the classifier for labels of shape '
                f"{tuple(target.shape)}, but {came}. Add dict(type='imbdense.FeatureTapHook') to custom_hooks."
            )
        if norm.shape == target.shape:
            return norm
        mode = {3: 'bilinear', 4: 'trilinear'}.get(target.ndim, 'linear')
        return F.interpolate(norm.unsqueeze(1), target.shape[1:], mode=mode, align_corners=False).squeeze(1)
