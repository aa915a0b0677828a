"""``imbdense.ReDBDetector``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor

from imbdense.data.pseudo import PseudoBoxes
from imbdense.mm.detectors.pseudo_box_detector import Config, PseudoBoxDetector, homography, into_view
from imbdense.mm.pseudo_label.redb_images import ImageWorld
from imbdense.registry import MODELS

VISIBLE = 0.5
"""A pseudo box of which a pasted object hides more than this is dropped, as in ``BankPaste``."""


@MODELS.register_module()
class ReDBDetector(PseudoBoxDetector):
    """Any mmdet detector that learns from the pseudo boxes of a *round*, which stay until the next round.

    :class:`~imbdense.mm.hooks.PseudoLabelRoundHook` predicts the unlabelled set between two epochs and hands the
    labels over (:meth:`set_pseudo_labels`); until then the unsupervised terms are zero. Branches ``sup`` and
    ``unsup_student``, whose samples must carry ``img_path``. Objects that ``imbdense.BankPaste`` has put into the
    unlabelled image are labels too; a pseudo box that they hide by more than half is dropped. An image without labels
    (it was broken in the round) is ignored as a whole. Losses, names, ranks: see :class:`PseudoBoxDetector`.

    With ``predict_on='student'`` (the paper: student and teacher are one network) the rounds are predicted by the
    student; with 'teacher' and :class:`~imbdense.mm.hooks.EMATeacherHook` by its average.

    State: as the base; the labels of the round lie in the round's folder, not in the checkpoint.

    Args:
        all: see :class:`PseudoBoxDetector`. The paper trains on unlabelled frames alone, ``sup_weight=0``.

    Source: Chen et al., Revisiting Domain-Adaptive 3D Object Detection by Reliable, Diverse and Class-balanced
    Pseudo-Labeling, ICCV 2023; two-dimensional form ours.
    """

    card = 'redb_detector'
    tasks = ('detection',)

    def __init__(
        self,
        detector: Config,
        sup_weight: float = 1.0,
        unsup_weight: float = 1.0,
        burn_in: int = 0,
        ramp_up: int = 0,
        ignore_iof_thr: float = 0.5,
        min_size: float = 1.0,
        weigh_by_score: bool = False,
        predict_on: str = 'student',
        data_preprocessor: Config | None = None,
        init_cfg: Config | None = None,
    ) -> None:
        super().__init__(
            detector, sup_weight, unsup_weight, burn_in, ramp_up, ignore_iof_thr, min_size, weigh_by_score,
            predict_on, data_preprocessor, init_cfg,
        )  # fmt: skip
        self._labels: Mapping[str, PseudoBoxes] | None = None

    def round_world(self, config: Any, classes: Sequence[str]) -> ImageWorld:
        """What a round of pseudo-labels works on: images."""
        return ImageWorld(self, config, classes)

    def set_pseudo_labels(self, labels: Mapping[str, PseudoBoxes]) -> None:
        """Learn from these from now on: path of an image -> its boxes in pixels of the file."""
        self._labels = labels

    def has_labels(self) -> bool:
        """Whether a round has been made."""
        return self._labels is not None

    @torch.no_grad()
    def label(self, inputs: dict[str, Tensor], samples: dict[str, list[Any]]) -> None:
        """The boxes of the round, moved into the view, beside the pasted ones."""
        for sample in samples['unsup_student']:
            path = sample.metainfo.get('img_path')
            if path is None:
                raise ValueError("ReDBDetector: the unlabelled samples have no img_path; add it to meta_keys of "
                                 'PackDetInputs.')
            pasted = sample.gt_instances
            known = (self._labels or {}).get(str(path))
            if known is None:
                height, width = sample.img_shape[:2]
                sample.gt_instances = InstanceData(
                    bboxes=pasted.bboxes[:0], labels=pasted.labels[:0], scores=pasted.bboxes.new_zeros(0)
                )
                sample.ignored_instances = _instances(pasted.bboxes.new_tensor([[0, 0, width, height]]), pasted.labels)
                continue
            self._merge(sample, known, pasted)

    def _merge(self, sample: Any, known: PseudoBoxes, pasted: InstanceData) -> None:
        """Positive and ignored boxes of the round, without what is hidden or too small, then the pasted objects."""
        like = pasted.bboxes
        boxes = torch.as_tensor(known.boxes).to(like)
        moved = into_view(boxes, homography(sample, like), sample)
        keep = (moved[:, 2:] - moved[:, :2] >= self.min_size).all(dim=1) & ~_hidden(moved, like)
        ignored = torch.as_tensor(known.ignored, device=like.device)
        labels = torch.as_tensor(known.labels, device=like.device)
        own = keep & ~ignored
        scores = torch.as_tensor(known.scores).to(like)
        sample.gt_instances = InstanceData(
            bboxes=torch.cat([moved[own], like]), labels=torch.cat([labels[own], pasted.labels]),
            scores=torch.cat([scores[own], like.new_ones(len(like))]),
        )  # fmt: skip
        sample.ignored_instances = _instances(moved[keep & ignored], labels[keep & ignored])


def _hidden(boxes: Tensor, pasted: Tensor) -> Tensor:
    """(N,) bool: one pasted box covers more than half of the box."""
    return (bbox_overlaps(boxes, pasted, mode='iof') > VISIBLE).any(dim=1)


def _instances(boxes: Tensor, labels: Tensor) -> InstanceData:
    """Boxes with labels; for a region without a class, label 0."""
    return InstanceData(bboxes=boxes, labels=labels if len(labels) == len(boxes) else labels.new_zeros(len(boxes)))
