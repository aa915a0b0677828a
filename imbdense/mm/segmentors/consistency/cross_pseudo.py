"""Consistency rule: cross pseudo supervision of two networks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from imbdense.core.pseudo_label import PseudoLabels
from imbdense.mm.segmentors.consistency.base import (
    Consistency,
    ConsistencyResult,
    SemiBatch,
    mixed,
    mixed_labels,
)
from imbdense.registry import MODELS


@MODELS.register_module()
class CrossPseudoConsistency(Consistency):
    """CPS: two networks, initialised differently, learn from each other's labels without a threshold.

    ``L = L_x1 + L_x2 + lambda [ CE(z1, argmax z2) + CE(z2, argmax z1) ]`` over the valid pixels of labelled and
    unlabelled images; lambda is ``unsup_weight`` of the segmentor. The weak views are used; ``teacher='peer'`` makes
    the second network, which learns too. ``student`` is the one that predicts.

    Args:
        on_labeled: the cross term also on the labelled images (the paper, but for its CutMix variant); costs their
            forward pass once more.
        cutmix: chance that an unlabelled image gets a rectangle of another one; the networks then label the images as
            they were and predict the mixed ones. The paper: 0, and 1 in its CutMix variant, with ``on_labeled=False``
            and ``unsup_weight`` 1 (VOC) or 5 (Cityscapes).

    Source: Chen et al., Semi-supervised semantic segmentation with cross pseudo supervision, CVPR 2021.
    """

    teachers = ('peer',)
    weights = (1.0, 1.5)
    rule = {'type': 'imbdense.FixedThreshold', 'threshold': 0.0}
    strong_views = 0

    def __init__(self, on_labeled: bool = True, cutmix: float = 0.0) -> None:
        super().__init__('all', cutmix)
        self.on_labeled = bool(on_labeled)

    def forward(self, model: Any, batch: SemiBatch) -> ConsistencyResult:
        """``loss_cross``, of the student, and ``loss_cross_peer``."""
        mask = self.draw_masks(batch.weak)
        if mask is None:
            logits = [model.logits(network, batch.weak) for network in (model.student, model.peer)]
            labels = [batch.weighed(self._label(model, item, batch.valid)) for item in logits]
        else:
            with torch.no_grad():
                before = [model.logits(network, batch.weak) for network in (model.student, model.peer)]
            labels = [
                mixed_labels(batch.weighed(self._label(model, item, batch.valid)), mask) for item in before
            ]
            image = mixed(batch.weak, mask)
            logits = [model.logits(network, image) for network in (model.student, model.peer)]
        valid = mixed(batch.valid, mask)
        sums, number = self._sums(logits, labels, valid), valid.sum()
        if self.on_labeled:
            area = labeled_area(batch)
            real = [model.logits(network, batch.sup_images) for network in (model.student, model.peer)]
            sums = sums + self._sums(real, [self._label(model, item, area) for item in real], area)
            number = number + area.sum()
        losses = sums / number.clamp_min(1)
        return ConsistencyResult({'loss_cross': losses[0], 'loss_cross_peer': losses[1]}, labels[0])

    def _label(self, model: Any, logits: Tensor, valid: Tensor) -> PseudoLabels:
        """What a network says, as the rule takes it."""
        return model.label(logits.detach().softmax(1), None, valid)

    def _sums(self, logits: list[Tensor], labels: list[PseudoLabels], valid: Tensor) -> Tensor:
        """(2,) cross-entropies of each network against the other's labels, times the number of valid pixels."""
        means = [self.cross_entropy(own, other, valid) for own, other in zip(logits, reversed(labels))]
        return torch.stack(means) * valid.sum()


def labeled_area(batch: SemiBatch) -> Tensor:
    """(L, H, W) bool: the labelled images without what the data preprocessor padded at the bottom and right."""
    height, width = batch.sup_images.shape[-2:]
    area = torch.zeros(len(batch.sup_samples), height, width, dtype=torch.bool)
    for mask, sample in zip(area, batch.sup_samples):
        rows, columns = sample.metainfo.get('img_shape', (height, width))[:2]
        mask[:rows, :columns] = True
    return area.to(batch.sup_images.device)
