"""Make a detector leave regions out of its loss: neither object nor background.

mmdet hands ignored boxes to every head, but most configs make nothing of them: the assigners look at them only with
``ignore_iof_thr`` > 0 (default -1), and point heads (FCOS) never do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmdet.models.dense_heads import FCOSHead
from torch import Tensor, nn


@contextlib.contextmanager
def ignored_regions(detector: nn.Module, regions: Sequence[Tensor], iof_thr: float) -> Iterator[None]:
    """While inside, ``detector.loss`` leaves ``regions`` out.

    Anchors and proposals: left out when more than ``iof_thr`` of their area lies inside one ignored box; assigners
    whose own ``ignore_iof_thr`` is set keep it. Points of FCOS: those inside an ignored box that belong to no object
    get weight 0 in the class loss. Heads of another kind see what mmdet gives them, see :func:`blind_heads`.

    Args:
        regions: ignored boxes (n, 4) of each image of the batch, x1 y1 x2 y2.
        iof_thr: in (0, 1].
    """
    assigners = [assigner for assigner in _assigners(detector) if assigner.ignore_iof_thr <= 0]
    before = [assigner.ignore_iof_thr for assigner in assigners]
    with contextlib.ExitStack() as stack:
        for assigner in assigners:
            assigner.ignore_iof_thr = iof_thr
        try:
            for head in class_heads(detector):
                if _is_point_head(head):
                    stack.enter_context(_masked_points(head, regions))
            yield
        finally:
            for assigner, value in zip(assigners, before):
                assigner.ignore_iof_thr = value


def blind_heads(detector: nn.Module) -> list[str]:
    """Class names of the heads that take ignored boxes for background whatever is done here (TOOD, YOLOX, DETR, ...).

    A two-stage head is judged by the assigners of its stage.
    """
    heads = [head for head in class_heads(detector) if not _is_point_head(head)]
    names = []
    for head in heads:
        owner = next((m for m in detector.modules() if getattr(m, 'bbox_head', None) is head and _own(m)), head)
        if not _own(owner) and not _inside_list(detector, head):
            names.append(type(head).__name__)
    return names


@contextlib.contextmanager
def _masked_points(head: Any, regions: Sequence[Tensor]) -> Iterator[None]:
    """Weight 0 for the points of an FCOS head that are background inside an ignored box."""
    original, weights = head.get_targets, []

    def get_targets(points: list[Tensor], batch_gt_instances: Any) -> Any:
        labels, boxes = original(points, batch_gt_instances)
        weights[:] = [torch.cat([
            torch.cat([_outside(level, region) for region in regions]).logical_or(label != head.num_classes)
            for level, label in zip(points, labels)
        ])]  # fmt: skip
        return labels, boxes

    def weigh(module: nn.Module, args: Any, kwargs: Any) -> Any:
        own = kwargs.get('weight')
        mask = weights[0].to(args[0].dtype)
        return args, {**kwargs, 'weight': mask if own is None else own * mask}

    object.__setattr__(head, 'get_targets', get_targets)
    handle = head.loss_cls.register_forward_pre_hook(weigh, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
        head.__dict__.pop('get_targets', None)


def _outside(points: Tensor, boxes: Tensor) -> Tensor:
    """(P,) bool: the point lies in no box."""
    if len(boxes) == 0:
        return torch.ones(len(points), dtype=torch.bool, device=points.device)
    x, y = points[:, :1], points[:, 1:2]
    inside = (x >= boxes[:, 0]) & (x <= boxes[:, 2]) & (y >= boxes[:, 1]) & (y <= boxes[:, 3])
    return ~inside.any(dim=1)


def _assigners(detector: nn.Module) -> list[Any]:
    """The assigners that know ignored boxes, of all heads and stages."""
    return [assigner for module in detector.modules() for assigner in _own(module)]


def _own(module: nn.Module) -> list[Any]:
    """The assigners of one module that have ``ignore_iof_thr``; cascades hold a list of them."""
    values = [item for value in vars(module).values() for item in (value if isinstance(value, list) else [value])]
    return [item for item in values if not isinstance(item, nn.Module) and hasattr(item, 'ignore_iof_thr')]


def class_heads(detector: nn.Module) -> list[Any]:
    """Modules with a class loss."""
    return [module for module in detector.modules() if hasattr(module, 'loss_cls') and hasattr(module, 'num_classes')]


def _is_point_head(head: Any) -> bool:
    """An FCOS head that assigns its points itself (VFNet derives from it and has an assigner)."""
    return isinstance(head, FCOSHead) and not _own(head)


def _inside_list(detector: nn.Module, head: nn.Module) -> bool:
    """A stage of a cascade, whose assigners are in the list of its owner."""
    return any(
        isinstance(getattr(m, 'bbox_head', None), nn.ModuleList) and head in list(m.bbox_head) and _own(m)
        for m in detector.modules()
    )
