"""``imbdense.PillarDetector``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.dist import all_reduce, get_world_size
from mmengine.model import BaseModel
from torch import Tensor

from imbdense.core.boxes3d import rotated_nms
from imbdense.core.checks import check_integer, check_number
from imbdense.mm.structures.point_det_data_sample import PointDetDataSample, predicted
from imbdense.nn.pillars import BevAnchorHead, BevBackbone, PillarEncoder
from imbdense.registry import MODELS

Config = dict[str, Any]
FOCAL = {'type': 'mmdet.FocalLoss', 'use_sigmoid': True, 'gamma': 2.0, 'alpha': 0.25}


@dataclass(frozen=True)
class Proposals:
    """The boxes of a scene before suppression, best first: boxes (K, 7), scores (K, C)."""

    boxes: Tensor
    scores: Tensor


@MODELS.register_module()
class PillarDetector(BaseModel):
    """Detect boxes in point clouds with pillars, convolutions seen from above and anchors; small enough for a CPU.

    Loss: class (any detection loss of ours or of mmdet), box with the yaw by its sine, direction, and fit (how much a
    box overlaps its object). A detection's score is ``class^(1 - fit_power) * fit^fit_power``; boxes of a class that
    overlap a better one from above are suppressed. Scenes with ``labelled=False`` have no loss.

    Across ranks: the terms are divided by the mean number of positive anchors of all ranks. AMP: losses in float32.

    Args:
        encoder: arguments of :class:`~imbdense.nn.pillars.PillarEncoder`. backbone: of
            :class:`~imbdense.nn.pillars.BevBackbone`, without ``in_channels``. bbox_head: of
            :class:`~imbdense.nn.pillars.BevAnchorHead`, without ``in_channels`` and ``extent``.
        loss_cls: of classes; it is called as by mmdet's heads, with labels in [0, C], C = background.
        score_thr, nms_iou, proposals, max_per_scene: least score, overlap from above that suppresses, boxes that are
            looked at, detections that are kept.
        data_preprocessor: default :class:`~imbdense.mm.data_preprocessors.PointDetDataPreprocessor`.
        init_cfg: as in mmengine.

    Sources: Lang et al., PointPillars, CVPR 2019; Yan et al., SECOND, Sensors 2018.
    """

    card = 'pillar_detector'
    tasks = ('detection_3d',)

    def __init__(
        self,
        encoder: Config,
        backbone: Config,
        bbox_head: Config,
        loss_cls: Config | None = None,
        score_thr: float = 0.1,
        nms_iou: float = 0.1,
        proposals: int = 1024,
        max_per_scene: int = 100,
        data_preprocessor: Config | None = None,
        init_cfg: Config | None = None,
    ) -> None:
        super().__init__(data_preprocessor or {'type': 'imbdense.PointDetDataPreprocessor'}, init_cfg)
        owner = 'PillarDetector'
        self.score_thr = check_number('score_thr', score_thr, low=0.0, high=1.0, owner=owner)
        self.nms_iou = check_number('nms_iou', nms_iou, low=0.0, high=1.0, owner=owner)
        self.limit = check_integer('proposals', proposals, low=1, owner=owner)
        self.max_per_scene = check_integer('max_per_scene', max_per_scene, low=1, owner=owner)
        self.encoder = PillarEncoder(**encoder)
        self.backbone = BevBackbone(self.encoder.out_channels, **backbone)
        self.bbox_head = BevAnchorHead(self.backbone.out_channels, self.encoder.extent, **bbox_head)
        self.num_classes = self.bbox_head.num_classes
        self.loss_cls = MODELS.build(loss_cls or FOCAL)

    def forward(
        self, inputs: dict[str, Any], data_samples: Sequence[PointDetDataSample] | None = None, mode: str = 'tensor'
    ) -> Any:
        """Losses (``mode='loss'``), samples with ``pred_instances_3d`` ('predict') or the head's outputs ('tensor')."""
        if mode == 'loss':
            return self.loss(inputs, data_samples or ())
        if mode == 'predict':
            samples = list(data_samples or [PointDetDataSample() for _ in range(inputs['batch_size'])])
            for sample, found in zip(samples, self.propose(inputs)):
                sample.pred_instances_3d = self.select(found)
            return samples
        if mode == 'tensor':
            return self._outputs(inputs)[0]
        raise RuntimeError(f"PillarDetector: mode must be 'loss', 'predict' or 'tensor', but got {mode!r}.")

    def loss(self, inputs: dict[str, Any], samples: Sequence[PointDetDataSample]) -> dict[str, Tensor]:
        """The terms of a batch."""
        outputs, anchors = self._outputs(inputs)
        targets = self.bbox_head.targets(
            anchors, [sample.gt_instances_3d.boxes for sample in samples],
            [sample.gt_instances_3d.labels for sample in samples],
            [sample.ignored_instances_3d.boxes for sample in samples],
        )  # fmt: skip
        for row, sample in zip(targets.labels, samples):
            if not sample.metainfo.get('labelled', True):
                row.fill_(-1)
        number = targets.positive.sum().float()
        if get_world_size() > 1:
            all_reduce(number, 'mean')
        return self.bbox_head.loss(outputs, targets, anchors, self.loss_cls, number.clamp_min(1.0))

    def propose(self, inputs: dict[str, Any], limit: int | None = None) -> list[Proposals]:
        """The ``limit`` (default ``proposals``) best boxes of each scene before suppression."""
        outputs, anchors = self._outputs(inputs)
        return [Proposals(*found) for found in self.bbox_head.proposals(outputs, anchors, limit or self.limit)]

    def select(self, found: Proposals) -> Any:
        """Detections of one scene: class, score, suppression."""
        scores, labels = found.scores[: self.limit].max(dim=1)
        boxes = found.boxes[: self.limit]
        enough = scores >= self.score_thr
        boxes, scores, labels = boxes[enough], scores[enough], labels[enough]
        kept = rotated_nms(boxes, scores, self.nms_iou, labels)[: self.max_per_scene]
        return predicted(boxes[kept], labels[kept], scores[kept])

    def _outputs(self, inputs: dict[str, Any]) -> tuple[Any, Tensor]:
        """Outputs of the head and their anchors."""
        x = self.backbone(self.encoder(inputs['points'], inputs['sample'], inputs['batch_size']))
        return self.bbox_head(x), self.bbox_head.anchors(x.shape[2], x.shape[3], x.device)
