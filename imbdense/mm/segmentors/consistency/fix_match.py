"""Consistency rule: FixMatch for segmentation."""

from __future__ import annotations

from typing import Any

from imbdense.mm.segmentors.consistency.base import Consistency, ConsistencyResult, SemiBatch
from imbdense.registry import MODELS


@MODELS.register_module()
class FixMatchConsistency(Consistency):
    """FixMatch: the strong view must predict what the teacher says with confidence of the weak one.

    ``L_u = sum_i 1[q_i >= tau] CE(z_strong, y_i) / N_valid``, the mean over the strong views; with CutMix between the
    unlabelled images of the batch.

    Args:
        norm: divide by all valid pixels ('all', the paper), those that have a label ('kept'), or per class first
            ('class').
        cutmix: chance of CutMix per image; 0 = never.

    Source: Sohn et al., FixMatch, NeurIPS 2020, as in Yang et al., UniMatch, CVPR 2023.
    """

    def __init__(self, norm: str = 'all', cutmix: float = 0.5) -> None:
        super().__init__(norm, cutmix)

    def forward(self, model: Any, batch: SemiBatch) -> ConsistencyResult:
        """``loss_strong``."""
        pseudo = batch.weighed(model.label(*model.teacher_view(batch.weak), batch.valid, batch.indices))
        return ConsistencyResult(self.strong_terms(model, batch, pseudo), pseudo)
