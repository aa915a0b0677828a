"""Consistency rule: UniMatch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.mm.segmentors.consistency.base import Consistency, ConsistencyResult, SemiBatch
from imbdense.registry import MODELS


@MODELS.register_module()
class UniMatchConsistency(Consistency):
    """UniMatch: two strong views with CutMix, and the weak view with half of its feature channels dropped.

    ``L = 1/2 [ L_x + 1/4 L_s1 + 1/4 L_s2 + 1/2 L_fp ]``, all three against the labels of the weak view, divided by the
    valid pixels. With ``teacher='self'`` (the paper) the labels come from the forward pass that also feeds the feature
    branch, so a step costs four passes per unlabelled image; with ``teacher='ema'`` (V2) one more.

    Args:
        feature_drop: share of the feature channels that are dropped, in [0, 1).
        norm, cutmix: see :class:`FixMatchConsistency`.

    Source: Yang et al., Revisiting weak-to-strong consistency, CVPR 2023; V2: TPAMI 2025.
    """

    teachers = ('self', 'ema')
    weights = (0.5, 0.5)
    strong_views = 2

    def __init__(self, feature_drop: float = 0.5, norm: str = 'all', cutmix: float = 0.5) -> None:
        super().__init__(norm, cutmix)
        self.feature_drop = check_number('feature_drop', feature_drop, low=0.0, high=1.0, owner=type(self).__name__)
        if self.feature_drop == 1:
            raise ValueError('UniMatchConsistency: feature_drop must be below 1; with 1 no feature would be left.')

    def forward(self, model: Any, batch: SemiBatch) -> ConsistencyResult:
        """``loss_strong`` and ``loss_feature``, with the weights 1/2 (1/4 per strong view) and 1/2."""
        features = model.student.extract_feat(batch.weak)
        if model.teacher_kind == 'self':
            with torch.no_grad():
                seen = model.logits(model.student, batch.weak, features).softmax(1), features
        else:
            seen = model.teacher_view(batch.weak)
        pseudo = batch.weighed(model.label(*seen, batch.valid, batch.indices))
        terms = self.strong_terms(model, batch, pseudo)
        terms['loss_strong'] = 0.5 * terms['loss_strong']
        perturbed = model.logits(model.student, batch.weak, self._dropped(features))
        terms['loss_feature'] = 0.5 * self.cross_entropy(perturbed, pseudo, batch.valid)
        return ConsistencyResult(terms, pseudo)

    def _dropped(self, features: Any) -> Any:
        """Every feature map with a share of its channels set to zero and the others scaled up."""
        if isinstance(features, (list, tuple)):
            return type(features)(self._dropped(item) for item in features)
        if isinstance(features, Tensor) and features.ndim == 4:
            return F.dropout2d(features, self.feature_drop, training=True)
        return features
