"""``imbdense.BalancedClassRoISampler``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmdet.models.task_modules.assigners import AssignResult
from mmdet.models.task_modules.samplers import RandomSampler, SamplingResult
from mmdet.structures.bbox import BaseBoxes, cat_boxes
from mmengine.structures import InstanceData
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.sampling import draw_class_balanced
from imbdense.core.stats import ImageClassTable
from imbdense.registry import TASK_UTILS


@TASK_UTILS.register_module()
class BalancedClassRoISampler(RandomSampler):
    """Draw the positive proposals of an image so that each of its classes gets equally many.

    In the place of mmdet's ``RandomSampler`` (``train_cfg.rcnn.sampler``) the positives are drawn with replacement: a
    class with few proposals has them repeated. There are as many draws as ``RandomSampler`` would make, so the share
    of background stays what it was; negatives are drawn at random.

    As ``pos_sampler`` of mmdet's ``CombinedSampler`` it draws without replacement, because that one drops repeated
    samples: classes with fewer proposals than their part give all of them, the others share the rest.

    The ledger learns what this does to the class distribution, taking the proposals of an image as proportional to its
    objects: per image, equal parts of its classes. Inside ``CombinedSampler`` the effect depends on the number of
    proposals and is reported as unknown.

    Random numbers: torch's global generator.

    Args:
        num: samples per image.
        pos_fraction: largest share of positives, in [0, 1].
        neg_pos_ub: most negatives per positive; -1 = no bound.
        add_gt_as_proposals: count the annotated boxes among the proposals.
        context: the head, which passes itself; not used.

    Source: class-balanced over-sampling of Buda et al. 2018, applied to the samples of a detector.
    """

    card = 'element_samplers'
    tasks = ('detection',)

    def __init__(
        self,
        num: int,
        pos_fraction: float,
        neg_pos_ub: float = -1,
        add_gt_as_proposals: bool = True,
        context: Any = None,
    ) -> None:
        super().__init__(num, pos_fraction, neg_pos_ub, add_gt_as_proposals)

    def sample(
        self, assign_result: AssignResult, pred_instances: InstanceData, gt_instances: InstanceData, **kwargs: Any
    ) -> SamplingResult:
        """Choose positives and negatives of one image; a positive may come several times.

        Args:
            assign_result: which object each proposal belongs to.
            pred_instances: the proposals, ``priors`` (n, 4).
            gt_instances: the objects, ``bboxes`` (k, 4) and ``labels`` (k,).
            kwargs: what the host passes on besides (features); not used.
        """
        boxes, priors = gt_instances.bboxes, pred_instances.priors
        priors = priors[None] if len(priors.shape) < 2 else priors
        is_object = priors.new_zeros(len(priors), dtype=torch.uint8)
        if self.add_gt_as_proposals and len(boxes) > 0:
            same = isinstance(boxes, BaseBoxes) and isinstance(priors, BaseBoxes)
            priors = cat_boxes([boxes.convert_to(type(priors)) if same else boxes, priors], dim=0)
            assign_result.add_gt_(gt_instances.labels)
            is_object = torch.cat([is_object.new_ones(len(boxes)), is_object])
        positives = self._positives(assign_result)
        draws = min(int(self.num * self.pos_fraction), positives.numel())
        chosen = positives[draw_class_balanced(assign_result.labels[positives], draws, replace=True)]
        negatives = self.num - draws
        if self.neg_pos_ub >= 0:
            negatives = min(negatives, int(self.neg_pos_ub * max(draws, 1)))
        return SamplingResult(
            pos_inds=chosen,
            neg_inds=self._sample_neg(assign_result, negatives).flatten(),
            priors=priors,
            gt_bboxes=boxes,
            assign_result=assign_result,
            gt_flags=is_object,
        )

    def sampling_factors(
        self, table: ImageClassTable, draws: NDArray[np.float64], prior: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return (C,) by how much the share of each class among the positives is multiplied (1 for absent classes).

        Args:
            table: objects per image and class.
            draws: (I,) expected draws of each image.
            prior: not needed.
        """
        before = table.expected_totals(draws)
        images = table.entry_images
        objects = np.bincount(images, table.amounts, minlength=len(table)) * draws
        parts = objects / np.maximum(np.diff(table.indptr), 1)
        after = np.bincount(table.classes, parts[images], minlength=table.num_classes)
        return np.divide(after, before, out=np.ones_like(before), where=before > 0)

    def _sample_pos(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        """Positives without repetition; what ``CombinedSampler`` asks for."""
        positives = self._positives(assign_result)
        if positives.numel() <= num_expected:
            return positives
        return positives[draw_class_balanced(assign_result.labels[positives], num_expected, replace=False)]

    @staticmethod
    def _positives(assign_result: AssignResult) -> Tensor:
        """(P,) indices of the proposals that belong to an object."""
        return torch.nonzero(assign_result.gt_inds > 0).flatten()
