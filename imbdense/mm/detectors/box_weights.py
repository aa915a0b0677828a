"""Let each box of an image count with a weight of its own in a detector's loss."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from mmdet.models.dense_heads import AnchorHead, ATSSHead, GFLHead
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.task_modules.samplers import SamplingResult
from torch import Tensor, nn

from imbdense.mm.detectors.ignored_regions import class_heads

KNOWN_TARGETS = tuple(cls._get_targets_single for cls in (AnchorHead, ATSSHead, GFLHead))
"""Heads that assign anchors by one of these say which anchor belongs to which box."""


@contextlib.contextmanager
def weighted_boxes(detector: nn.Module, weights: Sequence[Tensor]) -> Iterator[None]:
    """While inside, ``detector.loss`` multiplies the loss of the anchors and proposals of box i by its weight.

    The class term of the positives in every known head; the box term where the head uses the box weights of its
    assigner (RetinaNet, RPN, Faster and Cascade R-CNN), while ATSS and GFL weigh boxes by centerness or score of their
    own. Background keeps weight 1, and what the loss is divided by does not change (but RoI heads do not count what
    has weight 0). Other heads: see :func:`weightless_heads`.

    Args:
        weights: (n,) >= 0 of each image of the batch, one for each of its objects.
    """
    with contextlib.ExitStack() as stack:
        for head in class_heads(detector):
            if isinstance(head, BBoxHead):
                stack.enter_context(_replaced(head, 'get_targets', _of_proposals(head.get_targets, weights)))
            elif _knows(head):
                weighing = _of_anchors(head._get_targets_single, weights, head.num_classes)
                stack.enter_context(_replaced(head, '_get_targets_single', weighing))
        yield


def weightless_heads(detector: nn.Module) -> list[str]:
    """Class names of the heads in which every box counts alike whatever is done here (FCOS, TOOD, YOLOX, DETR, ...)."""
    heads = [head for head in class_heads(detector) if not isinstance(head, BBoxHead)]
    return [type(head).__name__ for head in heads if not _knows(head)]


def _knows(head: Any) -> bool:
    """Whether the head has one of the known assignments."""
    return getattr(type(head), '_get_targets_single', None) in KNOWN_TARGETS


def _of_anchors(original: Callable[..., Any], weights: Sequence[Tensor], num_classes: int) -> Callable[..., Any]:
    """The assignment of one image, called for image after image of the batch."""
    turn = itertools.cycle(weights)

    def targets(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
        found, own = list(original(*args, **kwargs)), next(turn)
        first = 0 if found[0].ndim == 1 else 1  # ATSS and GFL give the anchors first
        sampled = next(item for item in found if isinstance(item, SamplingResult))
        factor = _positive_factors(found[first], sampled, own, num_classes)
        found[first + 1] = found[first + 1] * factor
        found[first + 3] = found[first + 3] * factor[:, None]
        return tuple(found)

    return targets


def _positive_factors(labels: Tensor, sampled: SamplingResult, weights: Tensor, num_classes: int) -> Tensor:
    """(A,) weight of each anchor's box, 1 for background.

    The positives of ``labels`` are those of the sampler in the order of the anchors, whichever anchors outside the
    image were left out for the assignment.
    """
    rising = sampled.pos_inds.argsort()
    own = weights[sampled.pos_assigned_gt_inds[rising]]
    positive = (labels >= 0) & (labels < num_classes)
    place = (positive.cumsum(0) - 1).clamp_min(0)
    return torch.where(positive, torch.cat([own, own.new_ones(1)])[place], 1.0)


def _of_proposals(original: Callable[..., Any], weights: Sequence[Tensor]) -> Callable[..., Any]:
    """The targets of a batch of sampled proposals: of each image the positives, then the negatives."""

    def get_targets(sampling_results: list[SamplingResult], *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        labels, label_weights, box_targets, box_weights = original(sampling_results, *args, **kwargs)
        parts = []
        for result, own in zip(sampling_results, weights):
            parts += [own[result.pos_assigned_gt_inds], own.new_ones(len(result.neg_priors))]
        factor = torch.cat(parts)
        return labels, label_weights * factor, box_targets, box_weights * factor[:, None]

    return get_targets


@contextlib.contextmanager
def _replaced(module: nn.Module, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Another method for this object alone."""
    object.__setattr__(module, name, function)
    try:
        yield
    finally:
        module.__dict__.pop(name, None)
