"""The candidates of one image out of a call of a head's ``predict_by_feat``: boxes, logits, factor, level, proposals.

Boxes are in pixels of the image file, decoded by the head itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.inference import keep_best_places
from imbdense.mm.inference.head_facts import HeadFacts, UnknownHeadError, gives_probabilities

MAX_PLACES = 20000
"""Places kept per image; see :func:`imbdense.core.inference.candidates.keep_best_places`."""
SLACK = 4
"""How many times ``nms_pre`` places per class are kept where a calibration can change the order within a class: of
one-stage softmax heads, and of PAA, which cuts by the score times the factor."""
SCORE_EPS = 1e-12

Arrays = dict[str, NDArray[Any]]
DENSE_NAMES = ('cls_scores', 'bbox_preds', 'score_factors', 'batch_img_metas', 'cfg', 'rescale', 'with_nms')


def read_roi(head: Any, original: Any, facts: HeadFacts, args: Any, kwargs: Any, max_places: int) -> Arrays:
    """Boxes as the head itself decodes them (``rcnn_test_cfg=None`` means: no threshold, no suppression)."""
    given = _named(('rois', 'cls_scores', 'bbox_preds', 'batch_img_metas', 'rcnn_test_cfg', 'rescale'), args, kwargs)
    raw = original(**{**given, 'rcnn_test_cfg': None})[0]
    rois, meta = given['rois'][0], given['batch_img_metas'][0]
    logits = given['cls_scores'][0]
    boxes = raw.bboxes.view(len(logits), -1)
    if not given.get('rescale'):  # models with masks resize their boxes after the masks
        boxes = _to_file(boxes, meta)
    if facts.own_scores:
        logits = torch.logit(raw.scores[:, : facts.num_classes].double(), eps=SCORE_EPS)
    ones = torch.ones(len(logits))
    return _arrays(boxes, logits, ones, torch.zeros(len(logits)), _to_file(rois[:, 1:], meta))


def read_query(head: Any, original: Any, facts: HeadFacts, args: Any, kwargs: Any, max_places: int) -> Arrays:
    """All queries of the last decoder layer; boxes cx, cy, w, h in parts of the image."""
    given = _named(('scores', 'boxes', 'batch_img_metas', 'rescale'), args, kwargs)
    logits, normed, meta = given['scores'][-1][0], given['boxes'][-1][0], given['batch_img_metas'][0]
    height, width = meta['img_shape'][:2]
    centre, half = normed[:, :2], normed[:, 2:] / 2
    boxes = torch.cat([centre - half, centre + half], dim=1) * normed.new_tensor([width, height, width, height])
    boxes = torch.minimum(boxes.clamp(min=0), boxes.new_tensor([width, height, width, height]))
    if given.get('rescale', True):
        boxes = _to_file(boxes, meta)
    zeros = torch.zeros(len(logits))
    return _arrays(boxes, logits, zeros + 1, zeros, boxes[:0])


def read_dense(head: Any, original: Any, facts: HeadFacts, args: Any, kwargs: Any, max_places: int) -> Arrays:
    """All places of all levels, boxes decoded by the head."""
    given = _named(DENSE_NAMES, args, kwargs)
    channels, activated = int(head.cls_out_channels), gives_probabilities(head)
    logits, level = _levels(given['cls_scores'], channels)
    factor = _factor(given.get('score_factors'), len(logits))
    boxes = _decode_all(original, given, channels, facts, activated)
    if facts.own_scores:
        logits = torch.logit(head.loss_cls.get_activation(logits)[:, : facts.num_classes].double(), eps=SCORE_EPS)
    elif activated:
        logits = torch.logit(logits.double(), eps=SCORE_EPS)
    # A softmax score depends on the other classes too, so a shift can change the order within a class.
    own = logits if facts.use_sigmoid else logits.float().log_softmax(dim=-1)
    return _best(facts, boxes, logits, factor, level, own, 1 if facts.use_sigmoid else SLACK, max_places)


def read_paa(head: Any, original: Any, facts: HeadFacts, args: Any, kwargs: Any, max_places: int) -> Arrays:
    """As :func:`read_dense`; the factor is the predicted IoU, and the cut looks at class score times factor."""
    given = _named(DENSE_NAMES, args, kwargs)
    logits, level = _levels(given['cls_scores'], facts.num_classes)
    factor = _factor(given['score_factors'], len(logits))
    sizes, meta = [scores.shape[-2:] for scores in given['cls_scores']], given['batch_img_metas'][0]
    priors = torch.cat(head.prior_generator.grid_priors(sizes, dtype=logits.dtype, device=logits.device))
    deltas = torch.cat([_rows(maps[0], 4) for maps in given['bbox_preds']])
    boxes = _to_file(head.bbox_coder.decode(priors, deltas, max_shape=meta['img_shape']), meta)
    own = F.logsigmoid(logits.float()) + factor.to(logits.device).log()[:, None]
    return _best(facts, boxes, logits, factor, level, own, SLACK, max_places)


def read_yolox(head: Any, original: Any, facts: HeadFacts, args: Any, kwargs: Any, max_places: int) -> Arrays:
    """All places; the factor is the objectness."""
    names = ('cls_scores', 'bbox_preds', 'objectnesses', 'batch_img_metas', 'cfg', 'rescale', 'with_nms')
    given = _named(names, args, kwargs)
    logits, _ = _levels(given['cls_scores'], facts.num_classes)
    factor = _factor(given['objectnesses'], len(logits))
    sizes = [scores.shape[-2:] for scores in given['cls_scores']]
    priors = head.prior_generator.grid_priors(sizes, dtype=logits.dtype, device=logits.device, with_stride=True)
    deltas = torch.cat([_rows(maps[0], 4) for maps in given['bbox_preds']])
    boxes = _to_file(head._bbox_decode(torch.cat(priors), deltas[None])[0], given['batch_img_metas'][0])
    own = F.logsigmoid(logits.float()) + factor.to(logits.device).log()[:, None]
    return _best(facts, boxes, logits, factor, torch.zeros(len(logits)), own, SLACK, max_places)


def read_yolov3(head: Any, original: Any, facts: HeadFacts, args: Any, kwargs: Any, max_places: int) -> Arrays:
    """The anchors of all levels; the factor is the objectness, below ``conf_thr`` of which the head drops them."""
    given = _named(('pred_maps', 'batch_img_metas', 'cfg', 'rescale', 'with_nms'), args, kwargs)
    numbers, classes = int(head.num_attrib), facts.num_classes
    flat = torch.cat([_rows(maps[0], numbers) for maps in given['pred_maps']])
    has_objectness = numbers == 5 + classes
    factor = flat[:, 4].float().sigmoid() if has_objectness else torch.ones(len(flat), device=flat.device)
    boxes = _decode_yolov3(original, given, numbers, classes)
    keep = factor >= facts.cut.get('conf_thr', -1) if has_objectness else factor > 0
    logits = flat[keep, -classes:]
    return _best(facts, boxes[keep], logits, factor[keep], torch.zeros(len(logits)), logits, 1, max_places)


def read_centernet(head: Any, original: Any, facts: HeadFacts, args: Any, kwargs: Any, max_places: int) -> Arrays:
    """The peaks of the heat maps; the factor (A, C) is 1 where a class has its peak, else 0."""
    names = ('center_heatmap_preds', 'wh_preds', 'offset_preds', 'batch_img_metas', 'rescale', 'with_nms')
    given = _named(names, args, kwargs)
    if given.get('with_nms'):
        raise UnknownHeadError('a suppression after the heat maps of CenterNet is not repeated.')
    heat = given['center_heatmap_preds'][0][:1].float()
    kernel = int(facts.cut['local_maximum_kernel'])
    peak = F.max_pool2d(heat, kernel, stride=1, padding=(kernel - 1) // 2) == heat
    rows = [maps[0].permute(1, 2, 0).reshape(-1, facts.num_classes) for maps in (heat, peak)]
    logits, factor = torch.logit(rows[0].double(), eps=SCORE_EPS), rows[1].float()
    boxes = _decode_centernet(head, original, given)
    own = torch.where(rows[1], logits, -torch.inf)
    kept = keep_best_places(own.cpu().numpy(), torch.zeros(len(own)).numpy(), int(facts.cut['topk']), max_places)
    chosen = torch.from_numpy(kept).to(logits.device)
    return _arrays(boxes[chosen], logits[chosen], factor[chosen], torch.zeros(len(chosen)), boxes[:0])


READERS: dict[str, Callable[..., Arrays]] = {
    'roi': read_roi, 'query': read_query, 'dense': read_dense, 'paa': read_paa, 'yolox': read_yolox,
    'yolov3': read_yolov3, 'centernet': read_centernet,
}  # fmt: skip
"""Kind of a head -> (head, its ``predict_by_feat``, facts, args, kwargs, max_places) -> candidates."""


def _decode_all(original: Any, given: dict[str, Any], channels: int, facts: HeadFacts, activated: bool) -> Tensor:
    """The box of every place, (A, 4), by the head's own decoding.

    The head sorts what it decodes by score. So it is given scores that fall strictly from place to place in the first
    class and are zero in the others: its answer then lists every place once, in order.
    """
    fake = []
    for scores in given['cls_scores']:
        count = scores[0].numel() // channels
        rows = scores.new_full((count, channels), 0.0 if activated else -torch.inf, dtype=torch.float32)
        rows[:, 0] = _falling(count, activated).to(rows)
        if channels > facts.num_classes:
            rows[:, -1] = 0.0
        height, width = scores.shape[-2:]
        fake.append(rows.view(height, width, -1).permute(2, 0, 1)[None])
    places = sum(scores.numel() // channels for scores in fake)
    cfg = ConfigDict(score_thr=0.0, nms_pre=places + 1, min_bbox_size=-1)
    return _listed(original(**{**given, 'cls_scores': fake, 'cfg': cfg, 'with_nms': False})[0], places)


def _decode_yolov3(original: Any, given: dict[str, Any], numbers: int, classes: int) -> Tensor:
    """The same for maps that hold box, objectness and classes of each anchor."""
    counts = [maps[0].numel() // numbers for maps in given['pred_maps']]
    fake = []
    for maps, scores in zip(given['pred_maps'], _falling(sum(counts), False).split(counts)):
        rows = _rows(maps[0], numbers).float().clone()
        rows[:, -classes:] = -torch.inf
        rows[:, -classes] = scores.to(rows)
        height, width = maps.shape[-2:]
        fake.append(rows.view(height, width, -1).permute(2, 0, 1)[None])
    cfg = ConfigDict(conf_thr=-1, score_thr=0.0, nms_pre=sum(counts) + 1, min_bbox_size=-1)
    return _listed(original(**{**given, 'pred_maps': fake, 'cfg': cfg, 'with_nms': False})[0], sum(counts))


def _decode_centernet(head: Any, original: Any, given: dict[str, Any]) -> Tensor:
    """The same for heat maps; the settings are read from the head, so they are exchanged for the call."""
    heat = given['center_heatmap_preds'][0][:1]
    fake = torch.zeros_like(heat, dtype=torch.float32)
    places = heat[0, 0].numel()
    fake[0, 0] = _falling(places, True).to(fake).view(heat.shape[-2:])
    settings = head.test_cfg
    head.test_cfg = ConfigDict(topk=places, local_maximum_kernel=1)
    try:
        return _listed(original(**{**given, 'center_heatmap_preds': [fake]})[0], places)
    finally:
        head.test_cfg = settings


def _falling(count: int, activated: bool) -> Tensor:
    """(count,) scores of places in their order: logits from 1 to -1, or probabilities from 1 to .5."""
    return torch.linspace(1, 0.5 if activated else -1, count)


def _listed(found: Any, places: int) -> Tensor:
    """The boxes of an answer that lists every place once."""
    boxes: Tensor = getattr(found.bboxes, 'tensor', found.bboxes)
    if len(boxes) != places:
        raise UnknownHeadError(f'the head decodes {len(boxes)} boxes for {places} places.')
    return boxes


def _levels(maps: Any, channels: int) -> tuple[Tensor, Tensor]:
    """(A, channels) of all levels, and (A,) which level."""
    rows = [_rows(one[0], channels) for one in maps]
    return torch.cat(rows), torch.cat([torch.full((len(part),), number) for number, part in enumerate(rows)])


def _factor(maps: Any, places: int) -> Tensor:
    """(A,) sigmoid of the maps of all levels; 1 without."""
    return torch.ones(places) if maps is None else torch.cat([_rows(one[0], 1)[:, 0] for one in maps]).sigmoid()


def _best(
    facts: HeadFacts, boxes: Tensor, logits: Tensor, factor: Tensor, level: Tensor, own: Tensor, slack: int,
    max_places: int,
) -> Arrays:  # fmt: skip
    """The places that any class can need, ranked by ``own`` (A, at least C) on each level."""
    enough = int(facts.cut.get('nms_pre', -1)) * slack
    kept = keep_best_places(own[:, : facts.num_classes].float().cpu().numpy(), level.numpy(), enough, max_places)
    index = torch.from_numpy(kept)
    chosen = index.to(logits.device)
    return _arrays(boxes[chosen], logits[chosen], factor.to(logits.device)[chosen], level[index], boxes[:0])


def _rows(maps: Tensor, channels: int) -> Tensor:
    """(anchors * channels, H, W) as (places, channels), in the order of the hosts' heads."""
    return maps.permute(1, 2, 0).reshape(-1, channels)


def _to_file(boxes: Tensor, meta: dict[str, Any]) -> Tensor:
    """(A, 4 k) boxes of the resized image in pixels of the image file."""
    width, height = meta.get('scale_factor', (1.0, 1.0))
    return boxes / boxes.new_tensor([width, height]).repeat(boxes.shape[1] // 2)


def _named(names: tuple[str, ...], args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments of the host's call by name."""
    return {**dict(zip(names, args)), **kwargs}


def _arrays(boxes: Tensor, logits: Tensor, factor: Tensor, level: Tensor, proposals: Tensor) -> Arrays:
    """To the host, in the types of the file."""
    tensors = {'boxes': boxes, 'logits': logits, 'factor': factor, 'proposals': proposals}
    arrays = {name: tensor.detach().float().cpu().numpy() for name, tensor in tensors.items()}
    return arrays | {'level': level.cpu().numpy().astype('int16')}
