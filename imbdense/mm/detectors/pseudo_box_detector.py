"""What the semi-supervised detectors share: a student, a teacher, branches, burn-in, and an ignore band that holds."""

from __future__ import annotations

import contextlib
import warnings
from abc import abstractmethod
from typing import Any

import torch
from mmdet.models.detectors import SemiBaseDetector
from mmdet.models.utils import rename_loss_dict, reweight_loss_dict
from mmdet.structures.bbox import bbox_project
from mmengine.config import ConfigDict
from torch import Tensor

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.reduction import zero_with_graph
from imbdense.mm.detectors.box_weights import weighted_boxes, weightless_heads
from imbdense.mm.detectors.ignored_regions import ignored_regions

Config = dict[str, Any]
Losses = dict[str, Any]


class PseudoBoxDetector(SemiBaseDetector):
    """Base of the detectors whose student also learns from pseudo boxes.

    Stands on mmdet's ``SemiBaseDetector``. Per step, with w = ``unsup_weight`` (linear from 0 over ``ramp_up`` steps
    after ``burn_in``)::

        L = sup_weight * L_student(labelled) + w * L_student(strong view, pseudo boxes)

    Terms are named ``sup_loss_*`` and ``unsup_loss_*``; ``stat_pseudo_kept`` and ``stat_pseudo_ignored`` are boxes per
    unlabelled image. Without any positive pseudo box on a rank, and as long as there are no pseudo-labels, its
    unsupervised terms are zeros with a graph under the same names. Ignored boxes are neither object nor background,
    also in heads whose config disregards them (:mod:`.ignored_regions`).

    State: student, teacher and ``iterations`` (int64) are in the state_dict. A checkpoint of the plain detector loads
    into both. Across ranks: equally many collectives per step on every rank.

    Args:
        detector: config of any mmdet detector with boxes (one-stage, two-stage). Not of masks.
        sup_weight, unsup_weight: >= 0. burn_in, ramp_up: steps, see above.
        ignore_iof_thr: in (0, 1], share of an anchor or proposal inside an ignored box from which it is left out.
        min_size: pseudo boxes with a side below this many pixels in the student's view are dropped.
        weigh_by_score: the loss of a pseudo box is multiplied by its score (:mod:`.box_weights`); pasted objects have
            score 1.
        predict_on: 'teacher' or 'student', which one is validated and tested.
        data_preprocessor: ``MultiBranchDataPreprocessor`` round the detector's own.
        init_cfg: as in mmengine.
    """

    def __init__(
        self,
        detector: Config,
        sup_weight: float,
        unsup_weight: float,
        burn_in: int,
        ramp_up: int,
        ignore_iof_thr: float,
        min_size: float,
        weigh_by_score: bool,
        predict_on: str,
        data_preprocessor: Config | None,
        init_cfg: Config | None,
    ) -> None:
        owner = type(self).__name__
        check_choice('predict_on', predict_on, ('teacher', 'student'), owner=owner)
        where = dict.fromkeys(('predict_on', 'forward_on', 'extract_feat_on'), predict_on)
        super().__init__(ConfigDict(detector), ConfigDict(), ConfigDict(where), data_preprocessor, init_cfg)
        if self.student.with_mask:
            raise ValueError(
                f'{owner}: {type(self.student).__name__} predicts masks; only detectors of boxes are known.'
            )
        self.sup_weight = check_number('sup_weight', sup_weight, low=0.0, owner=owner)
        self.unsup_weight = check_number('unsup_weight', unsup_weight, low=0.0, owner=owner)
        self.burn_in = check_integer('burn_in', burn_in, low=0, owner=owner)
        self.ramp_up = check_integer('ramp_up', ramp_up, low=0, owner=owner)
        self.ignore_iof_thr = check_number(
            'ignore_iof_thr', ignore_iof_thr, low=0.0, high=1.0, low_open=True, owner=owner
        )
        self.min_size = check_number('min_size', min_size, low=0.0, owner=owner)
        self.weigh_by_score = bool(weigh_by_score)
        if self.weigh_by_score and weightless_heads(self.student):
            warnings.warn(
                f'{owner}: in {", ".join(weightless_heads(self.student))} every box counts alike; weigh_by_score works '
                f'in heads with the assignment of AnchorHead, ATSSHead or GFLHead, and in RoI heads.',
                stacklevel=3,
            )
        self.register_buffer('iterations', torch.zeros((), dtype=torch.int64))
        self._done: int | None = 0  # the same number without asking the device for it every step

    @abstractmethod
    def label(self, inputs: dict[str, Tensor], samples: dict[str, list[Any]]) -> None:
        """Put pseudo boxes into ``samples['unsup_student']``: ``gt_instances`` and ``ignored_instances``, in the
        geometry of that view, the former with ``scores``."""

    def has_labels(self) -> bool:
        """Whether there are pseudo-labels at all."""
        return True

    def init_weights(self) -> None:
        """Initialise the student; the teacher becomes its copy."""
        super().init_weights()
        self.teacher.load_state_dict(self.student.state_dict())

    def train(self, mode: bool = True) -> PseudoBoxDetector:
        """Train or evaluate; the teacher always evaluates."""
        super().train(mode)
        self.teacher.eval()
        return self

    def loss(self, multi_batch_inputs: Any, multi_batch_data_samples: Any) -> Losses:
        """Losses of a batch with the branches ``sup``, ``unsup_student`` and what :meth:`label` needs."""
        step = self.iteration
        weight = self._weight_at(step) if self.has_labels() else 0.0
        supervised = self.student.loss(multi_batch_inputs['sup'], multi_batch_data_samples['sup'])
        if weight == 0.0:
            found = zeros_of(supervised)
            kept, ignored = 0, 0
        else:
            samples = multi_batch_data_samples['unsup_student']
            self.label(multi_batch_inputs, multi_batch_data_samples)
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

    def _unsupervised(self, inputs: Tensor, samples: list[Any], weight: float) -> Losses:
        """Weighted losses of the student on pseudo boxes; zeros when there is no positive one."""
        regions = [sample.ignored_instances.bboxes for sample in samples]
        with contextlib.ExitStack() as stack:
            stack.enter_context(ignored_regions(self.student, regions, self.ignore_iof_thr))
            if self.weigh_by_score:
                scores = [sample.gt_instances.scores for sample in samples]
                stack.enter_context(weighted_boxes(self.student, scores))
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

    def _load_from_state_dict(self, *arguments: Any) -> None:
        self._done = None
        super()._load_from_state_dict(*arguments)


def zeros_of(losses: Losses) -> Losses:
    """Every returned value as a zero that keeps its graph."""
    return {
        name: [zero_with_graph(item) for item in value] if isinstance(value, (list, tuple)) else zero_with_graph(value)
        for name, value in losses.items()
    }


def homography(sample: Any, like: Tensor) -> Tensor:
    """(3, 3) from the original image to the view; identity where a pipeline has no geometry."""
    matrix = sample.metainfo.get('homography_matrix')
    return torch.eye(3).to(like) if matrix is None else torch.as_tensor(matrix).to(like)


def into_view(boxes: Tensor, matrix: Tensor, sample: Any) -> Tensor:
    """Boxes moved by ``matrix`` (3, 3) into the view of ``sample`` and cut at its border."""
    moved: Tensor = bbox_project(boxes, matrix, sample.img_shape)
    return moved
