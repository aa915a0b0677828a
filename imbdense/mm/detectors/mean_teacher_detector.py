"""``imbdense.MeanTeacherDetector``."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.mm.detectors.ignored_regions import blind_heads
from imbdense.mm.detectors.pseudo_box_detector import Config, PseudoBoxDetector, homography, into_view
from imbdense.mm.pseudo_label.rules import build_rule, observe
from imbdense.mm.run_position import share_of_run
from imbdense.registry import MODELS


@MODELS.register_module()
class MeanTeacherDetector(PseudoBoxDetector):
    """Any mmdet detector as a student that learns from a teacher's boxes, with one threshold per class.

    The teacher labels the weak view of an unlabelled image, the student learns from the strong view of it. Differs from
    mmdet's ``SoftTeacher`` in three points: thresholds come per class from a rule that may follow the training; boxes
    between the two thresholds of their class are ignored; the teacher's boxes are used only after a burn-in. Losses,
    names, ranks: see :class:`PseudoBoxDetector`.

    Branches ``sup``, ``unsup_teacher`` (weak) and ``unsup_student`` (strong). The teacher stays in eval mode, gets no
    gradient, and is averaged by :class:`~imbdense.mm.hooks.EMATeacherHook`; at the start it is a copy of the student.
    The rule's buffers are in the state_dict; what it counts is summed over all ranks.

    Args:
        pseudo_labeler: rule of the registry of pseudo-label rules, for example ``dict(type='imbdense.FixedThreshold',
            threshold=[.9, .6], negative='half')``; its ``num_classes`` is filled in.
        min_score: in [0, 1]; teacher boxes below are neither counted by the rule nor used. Detectors that keep very low
            scores for the evaluation would otherwise drown a rule that labels a share of all boxes.
        detector, sup_weight, unsup_weight, burn_in, ramp_up, ignore_iof_thr, min_size, weigh_by_score, predict_on,
            data_preprocessor, init_cfg: see :class:`PseudoBoxDetector`.

    Raises:
        ValueError: an argument is out of range, or the detector predicts masks.
    """

    card = 'semi_detector'
    tasks = ('detection',)

    def __init__(
        self,
        detector: Config,
        pseudo_labeler: Config,
        sup_weight: float = 1.0,
        unsup_weight: float = 1.0,
        burn_in: int = 0,
        ramp_up: int = 0,
        ignore_iof_thr: float = 0.5,
        min_score: float = 0.05,
        min_size: float = 1.0,
        weigh_by_score: bool = False,
        predict_on: str = 'teacher',
        data_preprocessor: Config | None = None,
        init_cfg: Config | None = None,
    ) -> None:
        super().__init__(
            detector, sup_weight, unsup_weight, burn_in, ramp_up, ignore_iof_thr, min_size, weigh_by_score,
            predict_on, data_preprocessor, init_cfg,
        )  # fmt: skip
        self.min_score = check_number('min_score', min_score, low=0.0, high=1.0, owner='MeanTeacherDetector')
        self.pseudo_labeler = build_rule(pseudo_labeler, number_of_classes(self.student))
        self._warn_of_blind_heads()

    @torch.no_grad()
    def label(self, inputs: dict[str, Tensor], samples: dict[str, list[Any]]) -> None:
        """The teacher's boxes on ``unsup_teacher``, moved into ``unsup_student``."""
        self.pseudo_labeler.set_progress(share_of_run(self.iteration))
        weak_samples = samples['unsup_teacher']
        results = self.teacher.predict(inputs['unsup_teacher'], weak_samples, rescale=False)
        found = [result.pred_instances[result.pred_instances.scores >= self.min_score] for result in results]
        if self.training:
            scores, labels = torch.cat([one.scores for one in found]), torch.cat([one.labels for one in found])
            observe(self.pseudo_labeler, scores, labels, len(found))
        for one, weak, strong in zip(found, weak_samples, samples['unsup_student']):
            boxes = getattr(one.bboxes, 'tensor', one.bboxes)
            moved = into_view(boxes, homography(strong, boxes) @ homography(weak, boxes).inverse(), strong)
            status = self.pseudo_labeler.select(one.scores, one.labels)
            large = (moved[:, 2:] - moved[:, :2] >= self.min_size).all(dim=1)
            strong.gt_instances = _instances(one, moved, large & (status == 1))
            strong.ignored_instances = _instances(one, moved, large & (status == -1))

    def _warn_of_blind_heads(self) -> None:
        """Say so when a head will take the ignore band for background."""
        band = bool((self.pseudo_labeler.negative_thresholds() < self.pseudo_labeler.thresholds()).any())
        blind = blind_heads(self.student)
        if band and blind:
            warnings.warn(
                f'MeanTeacherDetector: {", ".join(blind)} disregards ignored boxes: those of the ignore band count as '
                f'background. Use a head with MaxIoUAssigner or ATSSAssigner, or FCOS; or leave the band out '
                f'(negative=None).',
                stacklevel=3,
            )


def number_of_classes(detector: Any) -> int:
    """Of the class head: dense (``bbox_head``), of the last stage of a cascade, or of the RoI head.

    Raises:
        ValueError: none of these tells.
    """
    head = getattr(getattr(detector, 'roi_head', detector), 'bbox_head', None)
    head = head[-1] if isinstance(head, torch.nn.ModuleList) else head
    if not hasattr(head, 'num_classes'):
        raise ValueError(f'{type(detector).__name__} has no bbox_head with num_classes; it is no detector of boxes.')
    return int(head.num_classes)


def _instances(found: InstanceData, boxes: Tensor, keep: Tensor) -> InstanceData:
    """The kept boxes of a teacher's result."""
    return InstanceData(bboxes=boxes[keep], labels=found.labels[keep], scores=found.scores[keep])
