"""``imbdense.FrequencyHungarianAssigner`` and ``imbdense.TargetMaskSampler``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmdet.models.task_modules.assigners import AssignResult, HungarianAssigner
from mmdet.models.task_modules.samplers import MaskPseudoSampler, MaskSamplingResult
from mmengine.structures import InstanceData
from torch import nn

from imbdense.core.matching import cap_matches, match_with_copies, matches_per_class
from imbdense.core.stats import ClassCounts, PriorLedger
from imbdense.mm.class_counts import load_class_counts
from imbdense.registry import TASK_UTILS


@TASK_UTILS.register_module()
class FrequencyHungarianAssigner(nn.Module, HungarianAssigner):
    """Hungarian matching in which a target of a rare class is answered by several queries.

    A target of class c is matched by ``q_c = ceil(max(1, scale * sqrt(threshold / f_c)))`` queries, f_c the share of
    images that hold the class; see :mod:`imbdense.core.matching.frequency`. For the heads that use mmdet's
    HungarianAssigner (MaskFormer, Mask2Former, DETR and its relatives). The match costs see the head's bare logits.

    It is a module without state, so that ``ClassCountHook`` finds it in the head: without ``class_frequency`` and
    ``class_counts`` the shares come from there. In the ledger it multiplies the prior by q_c, so that a loss of the
    query classes corrects only the rest. Nothing is reduced across ranks.

    Normaliser: mmdet's mask losses divide by the number of matched *pairs*. The reference divides by the number of
    targets, so that a rare target weighs q_c times; set ``sampler=dict(type='imbdense.TargetMaskSampler')`` for that.
    DETR's heads always divide by pairs.

    Args:
        match_costs: as of mmdet's HungarianAssigner.
        scale, threshold: s and t > 0 of the formula.
        class_frequency: (C,) shares of images in [0, 1].
        class_counts: path or content of a ``class_counts.json`` that holds images.

    Raises:
        ValueError: both are given; or, when first used, neither is and no hook bound them.
    """

    card = 'frequency_hungarian_assigner'
    tasks = ('segmentation', 'detection')
    changes_samples = True
    conformance_arguments = {'match_costs': [{'type': 'mmdet.ClassificationCost', 'weight': 1.0}]}

    def __init__(
        self,
        match_costs: Sequence[Mapping[str, Any]] | Mapping[str, Any],
        scale: float = 2.0,
        threshold: float = 1.2e-3,
        class_frequency: Sequence[float] | None = None,
        class_counts: str | Mapping[str, Any] | None = None,
    ) -> None:
        nn.Module.__init__(self)
        costs = match_costs if isinstance(match_costs, Mapping) else list(match_costs)
        HungarianAssigner.__init__(self, match_costs=costs)
        if class_frequency is not None and class_counts is not None:
            raise ValueError('FrequencyHungarianAssigner: give class_frequency or class_counts, not both.')
        self.scale, self.threshold, self.class_counts = scale, threshold, class_counts
        self._matches: np.ndarray[Any, np.dtype[np.int64]] | None = None
        if class_frequency is not None:
            self._take_frequency(class_frequency)

    def bind_prior(self, ledger: PriorLedger, counts: ClassCounts) -> None:
        """Take the share of images of each class and record that rare classes get more queries.

        Args:
            ledger: must hold no loss yet; several heads with this assigner act side by side and are recorded once.
            counts: of the training labels.
        """
        if self._matches is None and self.class_counts is None:
            self._take_counts(counts)
        name = type(self).__name__
        if all(entry.source != name for entry in ledger.entries):
            ledger.declare(name, ledger.seen_prior * self.matches())

    def matches(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """(C,) queries per target of each class; reads the file the first time."""
        if self._matches is None:
            if self.class_counts is None:
                raise ValueError(
                    'FrequencyHungarianAssigner does not know how many images hold each class. Add '
                    "dict(type='imbdense.ClassCountHook') to custom_hooks, or give class_frequency or class_counts."
                )
            self._take_counts(load_class_counts(self.class_counts, type(self).__name__))
        return self._matches

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        img_meta: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> AssignResult:
        """Match as HungarianAssigner does, with copies of rare targets.

        Returns:
            mmdet's result: ``gt_inds`` (Q,) is 0 for unmatched queries, else 1 + the index of the target; the same
            index may occur several times.
        """
        labels = gt_instances.labels
        indices = labels.new_zeros(len(pred_instances), dtype=torch.long)
        assigned = labels.new_full((len(pred_instances),), -1, dtype=torch.long)
        if len(gt_instances) > 0 and len(pred_instances) > 0:
            parts = [
                cost(pred_instances=pred_instances, gt_instances=gt_instances, img_meta=img_meta)
                for cost in self.match_costs
            ]
            copies = cap_matches(self.matches()[labels.cpu().numpy()], len(pred_instances))
            rows, targets = match_with_copies(torch.stack(parts).sum(0).detach().float().cpu().numpy(), copies)
            queries, chosen = (torch.as_tensor(part, device=labels.device) for part in (rows, targets))
            indices[queries] = chosen + 1
            assigned[queries] = labels[chosen]
        return AssignResult(num_gts=len(gt_instances), gt_inds=indices, max_overlaps=None, labels=assigned)

    def _take_counts(self, counts: ClassCounts) -> None:
        """Shares from counted images."""
        self._take_frequency(counts.of('images') / max(counts.num_images, 1))

    def _take_frequency(self, frequency: Any) -> None:
        self._matches = matches_per_class(frequency, scale=self.scale, threshold=self.threshold)


@TASK_UTILS.register_module()
class TargetMaskSampler(MaskPseudoSampler):
    """MaskPseudoSampler whose mask losses are divided by the number of targets, not of matched pairs.

    The two differ when a target is matched by several queries, as FrequencyHungarianAssigner does: divided by targets,
    a rare target weighs as many times as it has queries.

    Args:
        context: the head, which mmdet passes; not used.
    """

    card = 'frequency_hungarian_assigner'
    tasks = ('segmentation', 'detection')

    def __init__(self, context: Any = None) -> None:
        super().__init__(context=context)

    def sample(
        self,
        assign_result: AssignResult,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        *args: Any,
        **kwargs: Any,
    ) -> MaskSamplingResult:
        """The result of MaskPseudoSampler with ``avg_factor`` = targets that were matched, at least 1."""
        result = super().sample(assign_result, pred_instances, gt_instances, *args, **kwargs)
        result.avg_factor = max(int(result.pos_assigned_gt_inds.unique().numel()), 1)
        return result
