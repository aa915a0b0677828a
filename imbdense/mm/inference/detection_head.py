"""Listening to the class head of a detector: the candidates of each image, as its own post-processing decodes them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.config import ConfigDict
from numpy.typing import NDArray
from torch import Tensor, nn

from imbdense.core.inference import BoxCandidates, ImageObjects, keep_best_places

MAX_PLACES = 20000
"""Places kept per image; see :func:`imbdense.core.inference.candidates.keep_best_places`."""

SOFTMAX_SLACK = 4
"""How many times ``nms_pre`` places per class are kept of one-stage softmax heads."""
SCORE_EPS = 1e-12
CUTS = ('score_thr', 'nms_pre', 'nms', 'max_per_img', 'min_bbox_size')


class UnknownHeadError(TypeError):
    """The post-processing of this detector is not one that can be repeated from saved outputs."""


@dataclass(frozen=True)
class HeadFacts:
    """What :func:`imbdense.mm.inference.rescore.finish_detections` needs to know of the head.

    Attributes:
        kind: 'roi', 'dense' or 'query'. num_classes: C. use_sigmoid: the saved logits are C, one sigmoid each.
        cut: score_thr, nms_pre, nms, max_per_img, min_bbox_size of its test_cfg.
        own_scores: the loss makes the scores in a way of its own (Seesaw, EQLv2, ...); saved are log(s / (1 - s)) of
            its scores, which can be diagnosed, but not shifted as the head's logits.
    """

    kind: str
    num_classes: int
    use_sigmoid: bool
    cut: dict[str, Any]
    own_scores: bool = False

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
        raise UnknownHeadError(
            f'{type(model).__name__} has no bbox_head with predict_by_feat and num_classes. {_ADVICE}'
        )
    loss = getattr(head, 'loss_cls', None)
    own = bool(getattr(head, 'custom_cls_channels', False) or getattr(loss, 'custom_cls_channels', False))
    sigmoid = bool(getattr(head, 'use_sigmoid_cls', getattr(loss, 'use_sigmoid', False))) and roi is None
    kind = 'roi' if roi is not None else 'query' if _is_query_head(head) else 'dense'
    test_cfg = ConfigDict(getattr(roi, 'test_cfg', None) or getattr(head, 'test_cfg', None) or {})
    cut = {key: test_cfg[key] for key in CUTS if key in test_cfg}
    cut['nms'] = dict(cut['nms']) if 'nms' in cut else None
    return head, HeadFacts(kind, int(head.num_classes), sigmoid or own, cut, own)


_ADVICE = (
    'Known are the RoI heads, the anchor and point heads and the DETR heads of mmdet. Without fitting, '
    'imbdense.PostHocLogitAdjustHook(tau=...) may still work.'
)


def _is_query_head(head: Any) -> bool:
    """Whether the head is of the DETR family."""
    return any(cls.__name__ == 'DETRHead' for cls in type(head).__mro__)


@contextlib.contextmanager
def listen(model: nn.Module, max_places: int = MAX_PLACES) -> Iterator[Callable[[], dict[str, NDArray[Any]] | None]]:
    """While open, the next prediction of one image leaves its candidates.

    Yields a function that returns boxes, logits, factor, level and proposals of the image predicted last and forgets
    them; ``None`` when the head was not asked, because no proposal was made. The model predicts as always.
    """
    head, facts = find_head(model)
    original = head.predict_by_feat
    box: list[dict[str, NDArray[Any]]] = []
    read = {'roi': _read_roi, 'dense': _read_dense, 'query': _read_query}[facts.kind]

    def predict_by_feat(*args: Any, **kwargs: Any) -> Any:
        box.append(read(head, original, facts, args, kwargs, max_places))
        return original(*args, **kwargs)

    def take() -> dict[str, NDArray[Any]] | None:
        found = box.pop() if box else None
        box.clear()
        return found

    object.__setattr__(head, 'predict_by_feat', predict_by_feat)
    try:
        yield take
    finally:
        head.__dict__.pop('predict_by_feat', None)


def _read_roi(
    head: Any, original: Any, facts: HeadFacts, args: Any, kwargs: Any, max_places: int
) -> dict[str, NDArray[Any]]:
    """Boxes as the head itself decodes them (``rcnn_test_cfg=None`` means: no threshold, no suppression)."""
    given = _named(('rois', 'cls_scores', 'bbox_preds', 'batch_img_metas', 'rcnn_test_cfg', 'rescale'), args, kwargs)
    raw = original(**{**given, 'rcnn_test_cfg': None})[0]
    rois, scale = given['rois'][0], given['batch_img_metas'][0].get('scale_factor', (1.0, 1.0))
    proposals = rois[:, 1:] / rois.new_tensor([*scale, *scale]) if given.get('rescale') else rois[:, 1:]
    logits = given['cls_scores'][0]
    if facts.own_scores:
        logits = torch.logit(raw.scores[:, : facts.num_classes].double(), eps=SCORE_EPS)
    ones = torch.ones(len(logits))
    return _arrays(raw.bboxes.view(len(logits), -1), logits, ones, torch.zeros(len(logits)), proposals)


def _read_query(
    head: Any, original: Any, facts: HeadFacts, args: Any, kwargs: Any, max_places: int
) -> dict[str, NDArray[Any]]:
    """All queries of the last decoder layer; boxes cx, cy, w, h in parts of the image."""
    given = _named(('scores', 'boxes', 'batch_img_metas', 'rescale'), args, kwargs)
    logits, normed, meta = given['scores'][-1][0], given['boxes'][-1][0], given['batch_img_metas'][0]
    height, width = meta['img_shape'][:2]
    centre, half = normed[:, :2], normed[:, 2:] / 2
    boxes = torch.cat([centre - half, centre + half], dim=1) * normed.new_tensor([width, height, width, height])
    boxes = torch.minimum(boxes.clamp(min=0), boxes.new_tensor([width, height, width, height]))
    if given.get('rescale', True):
        boxes = boxes / boxes.new_tensor([*meta['scale_factor'], *meta['scale_factor']])
    zeros = torch.zeros(len(logits))
    return _arrays(boxes, logits, zeros + 1, zeros, boxes[:0])


def _read_dense(
    head: Any, original: Any, facts: HeadFacts, args: Any, kwargs: Any, max_places: int
) -> dict[str, NDArray[Any]]:
    """All places of all levels, boxes decoded by the head."""
    names = ('cls_scores', 'bbox_preds', 'score_factors', 'batch_img_metas', 'cfg', 'rescale', 'with_nms')
    given = _named(names, args, kwargs)
    channels = int(head.cls_out_channels)
    logits = torch.cat([_rows(scores[0], channels) for scores in given['cls_scores']])
    level = torch.cat(
        [torch.full((scores[0].numel() // channels,), number) for number, scores in enumerate(given['cls_scores'])]
    )
    factors = given.get('score_factors')
    factor = torch.ones(len(logits))
    if factors is not None:
        factor = torch.cat([_rows(maps[0], 1)[:, 0] for maps in factors]).sigmoid()
    boxes = _decode_all(original, given, channels, facts, len(logits))
    if facts.own_scores:
        logits = torch.logit(head.loss_cls.get_activation(logits)[:, : facts.num_classes].double(), eps=SCORE_EPS)
    # A softmax score depends on the other classes too, so a shift can change the order within a class: keep more of it.
    own = logits.float() if facts.use_sigmoid else logits.float().log_softmax(dim=-1)
    enough = int(facts.cut.get('nms_pre', -1)) * (1 if facts.use_sigmoid else SOFTMAX_SLACK)
    kept = keep_best_places(own[:, : facts.num_classes].cpu().numpy(), level.numpy(), enough, max_places)
    index = torch.from_numpy(kept)
    chosen = index.to(logits.device)
    return _arrays(boxes[chosen], logits[chosen], factor.to(logits.device)[chosen], level[index], boxes[:0])


def _decode_all(original: Any, given: dict[str, Any], channels: int, facts: HeadFacts, places: int) -> Tensor:
    """The box of every place, (A, 4), by the head's own decoding.

    The head sorts what it decodes by score. So it is given scores that fall strictly from place to place in the first
    class and are zero in the others: its answer then lists every place once, in order.
    """
    fake = []
    for scores in given['cls_scores']:
        count = scores[0].numel() // channels
        rows = scores.new_full((count, channels), -torch.inf, dtype=torch.float32)
        rows[:, 0] = torch.linspace(1, -1, count) if count > 1 else 0.0
        if channels > facts.num_classes:
            rows[:, -1] = 0.0
        height, width = scores.shape[-2:]
        fake.append(rows.view(height, width, -1).permute(2, 0, 1)[None])
    cfg = ConfigDict(score_thr=0.0, nms_pre=places + 1, min_bbox_size=-1)
    found = original(**{**given, 'cls_scores': fake, 'cfg': cfg, 'with_nms': False})[0]
    boxes = getattr(found.bboxes, 'tensor', found.bboxes)
    if len(boxes) != places:
        raise UnknownHeadError(f'the head decodes {len(boxes)} boxes for {places} places. {_ADVICE}')
    return boxes


def _rows(maps: Tensor, channels: int) -> Tensor:
    """(anchors * channels, H, W) as (places, channels), in the order of the hosts' heads."""
    return maps.permute(1, 2, 0).reshape(-1, channels)


def _named(names: tuple[str, ...], args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments of the host's call by name."""
    return {**dict(zip(names, args)), **kwargs}


def _arrays(boxes: Tensor, logits: Tensor, factor: Tensor, level: Tensor, proposals: Tensor) -> dict[str, NDArray[Any]]:
    """To the host, in the types of the file."""
    tensors = {'boxes': boxes, 'logits': logits, 'factor': factor, 'proposals': proposals}
    arrays = {name: tensor.detach().float().cpu().numpy() for name, tensor in tensors.items()}
    return arrays | {'level': level.cpu().numpy().astype(np.int16)}


def to_candidates(
    found: dict[str, NDArray[Any]] | None, objects: ImageObjects, image_id: str, channels: int
) -> BoxCandidates:
    """Join what :func:`listen` caught (``None`` = nothing was proposed) with the annotated objects."""
    if found is None:
        nothing = np.zeros((0, 4), np.float32)
        return BoxCandidates(
            nothing, np.zeros((0, channels), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int16), nothing,
            objects, image_id,
        )  # fmt: skip
    return BoxCandidates(objects=objects, image_id=image_id, **found)
