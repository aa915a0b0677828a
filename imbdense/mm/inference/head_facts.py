"""The head of a detector whose scores become the detections, and how it makes them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from mmengine.config import ConfigDict
from torch import nn

from imbdense.mm.inference.mask_overlaps import predicts_masks

FAMILIES = {
    'YOLOV3Head': 'yolov3', 'YOLOXHead': 'yolox', 'PAAHead': 'paa', 'CenterNetHead': 'centernet', 'DETRHead': 'query',
}  # fmt: skip
"""Class of the host -> kind, for heads with a post-processing of their own; all others are 'roi' or 'dense'."""
CUTS = ('score_thr', 'nms_pre', 'nms', 'max_per_img', 'min_bbox_size')
OWN_CUTS = {
    'yolov3': (*CUTS, 'conf_thr'), 'yolox': ('score_thr', 'nms'), 'centernet': ('topk', 'local_maximum_kernel'),
}  # fmt: skip
"""Kind -> the settings of ``test_cfg`` that such a head reads; :data:`CUTS` where it is not here."""
_ADVICE = (
    'Known are the RoI heads, the anchor and point heads, YOLOv3, YOLOX, PAA, CenterNet and the DETR heads of mmdet. '
    'Without fitting, imbdense.PostHocLogitAdjustHook(tau=...) may still work.'
)


class UnknownHeadError(TypeError):
    """The post-processing of this detector is not one that can be repeated from saved outputs."""

    def __init__(self, reason: str) -> None:
        super().__init__(f'{reason} {_ADVICE}')


@dataclass(frozen=True)
class HeadFacts:
    """What :func:`imbdense.mm.inference.rescore.finish_detections` needs to know of the head.

    Attributes:
        kind: 'roi', 'dense', 'query', or one of :data:`FAMILIES`. num_classes: C. use_sigmoid: the saved logits are C,
            one sigmoid each.
        cut: the settings of its test_cfg that cut, such as score_thr, nms_pre, nms, max_per_img.
        own_scores: the loss makes the scores in a way of its own (Seesaw, EQLv2, ...); saved are log(s / (1 - s)) of
            its scores, which can be diagnosed, but not shifted as the head's logits.
        masks: a mask head predicts a mask of every detection, from its box and class.
        voting: the boxes of PAA are averaged with their neighbours after the suppression.
    """

    kind: str
    num_classes: int
    use_sigmoid: bool
    cut: dict[str, Any]
    own_scores: bool = False
    masks: bool = False
    voting: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the manifest."""
        return dataclasses.asdict(self)

    @property
    def channels(self) -> int:
        """Channels of the saved logits."""
        return self.num_classes + (0 if self.use_sigmoid else 1)


def find_head(model: nn.Module) -> tuple[Any, HeadFacts]:
    """The head whose scores become the detections, and its facts.

    Raises:
        UnknownHeadError: there is no such head; the message says what can be done.
    """
    roi = getattr(model, 'roi_head', None)
    head: Any = getattr(roi if roi is not None else model, 'bbox_head', None)
    head = head[-1] if isinstance(head, nn.ModuleList) else head
    if head is None or not hasattr(head, 'predict_by_feat') or not hasattr(head, 'num_classes'):
        raise UnknownHeadError(f'{type(model).__name__} has no bbox_head with predict_by_feat and num_classes.')
    loss = getattr(head, 'loss_cls', None)
    own = bool(getattr(head, 'custom_cls_channels', False) or getattr(loss, 'custom_cls_channels', False))
    kind = 'roi' if roi is not None else family(head) or 'dense'
    sigmoid = bool(getattr(head, 'use_sigmoid_cls', getattr(loss, 'use_sigmoid', False))) and roi is None
    test_cfg = ConfigDict(getattr(roi, 'test_cfg', None) or getattr(head, 'test_cfg', None) or {})
    cut = {key: test_cfg[key] for key in OWN_CUTS.get(kind, CUTS) if key in test_cfg}
    cut['nms'] = dict(cut['nms']) if 'nms' in cut else None
    return head, HeadFacts(
        kind, int(head.num_classes), sigmoid or own or kind == 'centernet', cut, own,
        predicts_masks(roi), bool(getattr(head, 'with_score_voting', False)),
    )  # fmt: skip


def family(head: Any) -> str | None:
    """The kind of a head with a post-processing of its own, else ``None``."""
    names = [cls.__name__ for cls in type(head).__mro__]
    return next((kind for name, kind in FAMILIES.items() if name in names), None)


def gives_probabilities(head: Any) -> bool:
    """Whether the forward of a head ends in class probabilities instead of logits (CenterNet, TOOD)."""
    return family(head) == 'centernet' or bool(getattr(getattr(head, 'loss_cls', None), 'activated', False))
