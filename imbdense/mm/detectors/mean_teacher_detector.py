"""``imbdense.MeanTeacherDetector``."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from mmdet.models.detectors import SemiBaseDetector
from mmdet.models.utils import rename_loss_dict, reweight_loss_dict
from mmdet.structures.bbox import bbox_project
from mmengine.config import ConfigDict
from mmengine.logging import MessageHub
from mmengine.structures import InstanceData
from torch import Tensor

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.reduction import zero_with_graph
from imbdense.mm.detectors.ignored_regions import blind_heads, ignored_regions
from imbdense.mm.pseudo_label.rules import build_rule, observe
from imbdense.registry import MODELS

Config = dict[str, Any]
Losses = dict[str, Any]


@MODELS.register_module()
class MeanTeacherDetector(SemiBaseDetector):
    """Any mmdet detector as a student that learns from a teacher's boxes, with one threshold per class.

    Stands on mmdet's ``SemiBaseDetector`` (branches ``sup``, ``unsup_teacher``, ``unsup_student``; data pipeline and
    sampler as there) and differs from ``SoftTeacher`` in three points: thresholds come per class from a rule that may
    follow the training; boxes between the two thresholds of their class are ignored, they are neither object nor
    background, also in heads whose config disregards ignored boxes; the teacher's boxes are used only after a burn-in.

    Per step, with w = ``unsup_weight`` (linear from 0 over ``ramp_up`` steps after ``burn_in``)::

        L = sup_weight * L_student(labelled) + w * L_student(strong view, boxes of the teacher on the weak view)

    Terms are named ``sup_loss_*`` and ``unsup_loss_*``; ``stat_pseudo_kept`` and ``stat_pseudo_ignored`` are boxes per
    unlabelled image. Without any positive pseudo box on a rank, and during the burn-in, its unsupervised terms are
    zeros with a graph under the same names. The teacher stays in eval mode, gets no gradient, and is averaged by
    :class:`~imbdense.mm.hooks.EMATeacherHook`; at the start it is a copy of the student.

    State: student, teacher, the rule's buffers and ``iterations`` (int64) are in the state_dict. A checkpoint of the
    plain detector loads into both. Across ranks: the rule sums what it counts over all ranks; a step has equally many
    collectives on every rank.

    Args:
        detector: config of any mmdet detector with boxes (one-stage, two-stage). Not of masks.
        pseudo_labeler: rule of the registry of pseudo-label rules, for example ``dict(type='imbdense.FixedThreshold',
            threshold=[.9, .6], negative='half')``; its ``num_classes`` is filled in.
        sup_weight, unsup_weight: >= 0.
        burn_in: steps without unlabelled data. ramp_up: steps over which ``unsup_weight`` rises after them.
        ignore_iof_thr: in (0, 1], share of an anchor or proposal inside an ignored box from which it is left out.
        min_score: in [0, 1]; teacher boxes below are neither counted by the rule nor used. Detectors that keep very low
            scores for the evaluation would otherwise drown a rule that labels a share of all boxes.
        min_size: pseudo boxes with a side below this many pixels in the student's view are dropped.
        predict_on: 'teacher' or 'student', which one is validated and tested.
        data_preprocessor: ``MultiBranchDataPreprocessor`` round the detector's own.
        init_cfg: as in mmengine.

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
        predict_on: str = 'teacher',
        data_preprocessor: Config | None = None,
        init_cfg: Config | None = None,
    ) -> None:
        owner = 'MeanTeacherDetector'
        check_choice('predict_on', predict_on, ('teacher', 'student'), owner=owner)
        where = dict.fromkeys(('predict_on', 'forward_on', 'extract_feat_on'), predict_on)
        super().__init__(ConfigDict(detector), ConfigDict(), ConfigDict(where), data_preprocessor, init_cfg)
        if self.student.with_mask:
            raise ValueError(
                f'{owner}: {type(self.student).__name__} predicts masks; only detectors of boxes are known.'
            )
        self.pseudo_labeler = build_rule(pseudo_labeler, number_of_classes(self.student))
        self.sup_weight = check_number('sup_weight', sup_weight, low=0.0, owner=owner)
        self.unsup_weight = check_number('unsup_weight', unsup_weight, low=0.0, owner=owner)
        self.burn_in = check_integer('burn_in', burn_in, low=0, owner=owner)
        self.ramp_up = check_integer('ramp_up', ramp_up, low=0, owner=owner)
        self.ignore_iof_thr = check_number(
            'ignore_iof_thr', ignore_iof_thr, low=0.0, high=1.0, low_open=True, owner=owner
        )
        self.min_score = check_number('min_score', min_score, low=0.0, high=1.0, owner=owner)
        self.min_size = check_number('min_size', min_size, low=0.0, owner=owner)
        self.register_buffer('iterations', torch.zeros((), dtype=torch.int64))
        self._done: int | None = 0  # the same number without asking the device for it every step
        self._warn_of_blind_heads()

    def init_weights(self) -> None:
        """Initialise the student; the teacher becomes its copy."""
        super().init_weights()
        self.teacher.load_state_dict(self.student.state_dict())

    def train(self, mode: bool = True) -> MeanTeacherDetector:
        """Train or evaluate; the teacher always evaluates."""
        super().train(mode)
        self.teacher.eval()
        return self

    def loss(self, multi_batch_inputs: Any, multi_batch_data_samples: Any) -> Losses:
        """Losses of a batch with the branches ``sup``, ``unsup_teacher`` and ``unsup_student``."""
        step = self.iteration
        weight = self._weight_at(step)
        supervised = self.student.loss(multi_batch_inputs['sup'], multi_batch_data_samples['sup'])
        if weight == 0.0:
            found = zeros_of(supervised)
            kept, ignored = 0, 0
        else:
            self.pseudo_labeler.set_progress(_progress(step))
            samples = multi_batch_data_samples['unsup_student']
            self.label(multi_batch_inputs['unsup_teacher'], multi_batch_data_samples['unsup_teacher'], samples)
            found = self._unsupervised(multi_batch_inputs['unsup_student'], samples, weight)
            kept = sum(len(sample.gt_instances) for sample in samples)
            ignored = sum(len(sample.ignored_instances) for sample in samples)
        self.iterations += 1
        self._done = step + 1
        images = max(1, len(multi_batch_data_samples['unsup_student']))
        numbers = {'stat_pseudo_kept': kept / images, 'stat_pseudo_ignored': ignored / images}
        return {
            **rename_loss_dict('sup_', reweight_loss_dict(supervised, self.sup_weight)),
            **rename_loss_dict('unsup_', found),
            **{name: torch.tensor(value, device=self.iterations.device) for name, value in numbers.items()},
        }

    @property
    def predictor(self) -> Any:
        """The network that predicts."""
        return getattr(self, self.semi_test_cfg.predict_on)

    @property
    def iteration(self) -> int:
        """Steps done."""
        if self._done is None:
            self._done = int(self.iterations)
        return self._done

    @torch.no_grad()
    def label(self, weak_inputs: Tensor, weak_samples: list[Any], strong_samples: list[Any]) -> None:
        """Put the teacher's boxes on the weak views into the samples of the strong views.

        ``gt_instances`` become the positive boxes, ``ignored_instances`` those of the ignore band, both in the geometry
        of the strong view (``homography_matrix`` of the two views; identity where a pipeline has no geometry).
        """
        results = self.teacher.predict(weak_inputs, weak_samples, rescale=False)
        found = [result.pred_instances[result.pred_instances.scores >= self.min_score] for result in results]
        if self.training:
            scores, labels = torch.cat([one.scores for one in found]), torch.cat([one.labels for one in found])
            observe(self.pseudo_labeler, scores, labels, len(found))
        for one, weak, strong in zip(found, weak_samples, strong_samples):
            boxes = getattr(one.bboxes, 'tensor', one.bboxes)
            between = _homography(strong, boxes) @ _homography(weak, boxes).inverse()
            moved = bbox_project(boxes, between, strong.img_shape)
            status = self.pseudo_labeler.select(one.scores, one.labels)
            large = (moved[:, 2:] - moved[:, :2] >= self.min_size).all(dim=1)
            strong.gt_instances = _instances(one, moved, large & (status == 1))
            strong.ignored_instances = _instances(one, moved, large & (status == -1))

    def _unsupervised(self, inputs: Tensor, samples: list[Any], weight: float) -> Losses:
        """Weighted losses of the student on pseudo boxes; zeros when there is no positive one."""
        regions = [sample.ignored_instances.bboxes for sample in samples]
        with ignored_regions(self.student, regions, self.ignore_iof_thr):
            losses = self.student.loss(inputs, samples)
        if not any(len(sample.gt_instances) for sample in samples):
            return zeros_of(losses)
        weighted: Losses = reweight_loss_dict(losses, weight)
        return weighted

    def _weight_at(self, step: int) -> float:
        """``unsup_weight`` after the burn-in and the ramp."""
        since = step - self.burn_in
        if since < 0:
            return 0.0
        return self.unsup_weight * min(1.0, (since + 1) / self.ramp_up if self.ramp_up else 1.0)

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

    def _load_from_state_dict(self, *arguments: Any) -> None:
        self._done = None
        super()._load_from_state_dict(*arguments)


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


def zeros_of(losses: Losses) -> Losses:
    """Every returned value as a zero that keeps its graph."""
    return {
        name: [zero_with_graph(item) for item in value] if isinstance(value, (list, tuple)) else zero_with_graph(value)
        for name, value in losses.items()
    }


def _instances(found: InstanceData, boxes: Tensor, keep: Tensor) -> InstanceData:
    """The kept boxes of a teacher's result."""
    return InstanceData(bboxes=boxes[keep], labels=found.labels[keep], scores=found.scores[keep])


def _homography(sample: Any, like: Tensor) -> Tensor:
    """(3, 3) from the original image to the view."""
    matrix = sample.metainfo.get('homography_matrix')
    return torch.eye(3).to(like) if matrix is None else torch.as_tensor(matrix).to(like)


def _progress(step: int) -> float:
    """How much of the training is over, 0 where nobody knows its length."""
    length = MessageHub.get_current_instance().runtime_info.get('max_iters')
    return step / length if length else 0.0
