"""``imbdense.DotRegressionLoss``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_number
from imbdense.core.losses import dot_regression_from_logits, seen_feature_norm
from imbdense.core.representation import batch_balanced_lengths
from imbdense.mm.losses.base import DenseLoss, LossCall, loss_arguments
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class DotRegressionLoss(DenseLoss):
    """Dot regression on the logits of a fixed frame: pull each feature to the vector of its class, push from none.

    ``loss = mean_i 1/2 (m_y^T h_i - E_W E_H(i))^2 / E_H(i) + reg_lam ||h_i||``, E_H the feature length as a constant;
    see :func:`imbdense.core.losses.dot_regression_loss`. A head hands on logits ``z = M^T h``, from which the length
    of the part of h in the span of the frame follows exactly, also after enlarging them. With the smallest feature
    width (the default of ``imbdense.ETFSegHead`` and ``imbdense.ETFLinear``) that part is all of h and this is the
    published loss. Only sensible with a fixed frame behind the logits; a learned classifier would shrink to nothing.
    Targets are class indices, no probabilities.

    State: none. Nothing is reduced: each rank balances its own batch, as the published code does.

    Args:
        given_ew: batch-balanced lengths ``E_W(c) = sqrt((B / U) / count_c)``, which weight class c by their square.
        reg_lam: >= 0, of the mean feature length.
        frame: 'etf' or 'of' behind the logits; ``imbdense.ETFSegHead`` tells its own ('gof' too) and its scale.
        others: see :class:`DenseLoss`.
    """

    given_ew: bool = False
    reg_lam: float = 0.0
    frame: str = 'etf'
    loss_name: str = 'loss_dot_regression'

    card = 'fixed_classifiers'
    tasks = ('segmentation', 'detection', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        self.reg_lam = check_number('reg_lam', self.reg_lam, low=0.0, owner='DotRegressionLoss')
        check_choice('frame', self.frame, ('etf', 'of'), owner='DotRegressionLoss')
        self._simplex = self.frame == 'etf'
        self._bound: tuple[Any, ...] = ()

    def bind_frame(self, classifier: Any, simplex: bool) -> None:
        """Use the vector lengths and the scale of this classifier (``etf`` (d, K), ``scale``) from now on."""
        self._simplex = simplex
        self._bound = (classifier,)  # in a tuple: the classifier belongs to the head, not to the loss

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """With the lengths of the batch, where ``given_ew``."""
        lengths = batch_balanced_lengths(target, pred.shape[1], call.ignore_index) if self.given_ew else None
        return self._regression(pred, target, call, lengths)

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Without the lengths of the batch."""
        return self._regression(pred, target, call, None)

    def _regression(self, pred: Tensor, target: Tensor, call: LossCall, lengths: Tensor | None) -> Tensor:
        vector_norm, logits = None, pred
        for classifier in self._bound:
            vector_norm = None if self._simplex else torch.linalg.vector_norm(classifier.etf, dim=0)
            logits = pred if classifier.scale == 1 else pred / classifier.scale
        return dot_regression_from_logits(
            logits, target, seen_feature_norm(logits, vector_norm=vector_norm, simplex=self._simplex),
            vector_norm=vector_norm, lengths=lengths, reg_lam=self.reg_lam, class_weight=self.fixed_weight,
            owner='DotRegressionLoss', **call.options,
        )  # fmt: skip
