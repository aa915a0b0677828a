"""RoI heads of two-stage and cascade detectors: which proposals they learn from in the first iterations.

The second stage is fed with what the first one proposes, and before training that is no more than a random choice
among its anchors: an untrained RPN scores them all alike, and its boxes have not moved from the anchors. So that is
what is drawn here: of each level ``nms_pre`` anchors in random order, clipped to the image, through the proposal
NMS, the first ``max_per_img``. The stage's own assigner and sampler (which usually adds the annotated boxes) then say
what the loss sees; later stages of a cascade see the sampled boxes of the one before. Objects are nearly all of the
foreground at this point; a trained RPN offers several times as many, which the bias, an ordinary parameter, follows.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData
from numpy.typing import NDArray
from torch import Tensor

from imbdense.mm.assigned_counts.anchors import class_row
from imbdense.mm.assigned_counts.feature_sizes import Size, feature_sizes
from imbdense.mm.assigned_counts.images import DrawnImage
from imbdense.mm.reproducible import seeded_generators

DRAWS = 4
"""Sets of proposals per image size; they do not depend on the objects, so images of one size share them."""


class ProposalCounter:
    """Counts the proposals of every stage of a RoI head.

    Args:
        model: a two-stage detector with ``rpn_head`` and ``roi_head``.
        divisor: see :func:`~imbdense.mm.assigned_counts.feature_sizes.pad_divisor`.

    Raises:
        TypeError: there is no RPN, or a sampler needs features (OHEM).
    """

    def __init__(self, model: Any, divisor: int) -> None:
        rpn, roi_head = getattr(model, 'rpn_head', None), model.roi_head
        if getattr(rpn, 'prior_generator', None) is None:
            raise TypeError(f'{type(model).__name__} has no RPN whose anchors could stand for the first proposals')
        self.generator = rpn.prior_generator
        self.config = (model.train_cfg or {}).get('rpn_proposal') or model.test_cfg.rpn
        self.divisor = divisor
        self.assigners, self.samplers = _as_list(roi_head.bbox_assigner), _as_list(roi_head.bbox_sampler)
        heads = roi_head.bbox_head
        self.classes = int(getattr(heads, 'num_classes', 0) or heads[0].num_classes)
        for sampler in self.samplers:
            if type(sampler).__name__ in ('OHEMSampler', 'ScoreHLRSampler'):
                raise TypeError(f'{type(sampler).__name__} chooses by the losses of a network')
        self._proposals = lru_cache(maxsize=64)(self._draw_proposals)

    def signature(self) -> list[Any]:
        """What the counts depend on besides the images."""
        return [self.generator, dict(self.config), self.assigners, self.samplers, self.divisor, self.classes]

    def count(self, image: DrawnImage) -> NDArray[np.int64]:
        """(stages, C + 1) proposals of each class, the background last."""
        sizes = feature_sizes(image.shape, self.divisor, self.generator.strides)
        boxes = self._proposals(sizes, image.shape, int(torch.randint(DRAWS, ())))
        objects = InstanceData(bboxes=image.boxes, labels=image.labels)
        ignored = InstanceData(bboxes=image.ignored, labels=image.ignored.new_zeros(len(image.ignored)).long())
        rows = []
        for assigner, sampler in zip(self.assigners, self.samplers):
            proposals = InstanceData(priors=boxes)
            result = assigner.assign(proposals, objects, ignored)
            drawn = sampler.sample(result, proposals, objects)
            rows.append(class_row(drawn.pos_gt_labels, len(drawn.neg_inds), self.classes))
            annotated = torch.cat([drawn.pos_is_gt.bool(), torch.zeros(len(drawn.neg_inds), dtype=torch.bool)])
            boxes = drawn.priors[~annotated]
        return np.concatenate(rows)

    def _draw_proposals(self, sizes: tuple[Size, ...], shape: Size, draw: int) -> Tensor:
        """(n, 4) what an untrained RPN proposes for an image of this size."""
        from mmcv.ops import batched_nms

        limit = int(self.config.get('nms_pre', -1))
        with seeded_generators(draw, *shape):
            levels = []
            for anchors in self.generator.grid_priors(list(sizes), device='cpu'):
                order = torch.randperm(len(anchors))
                levels.append(anchors[order[: limit if limit > 0 else len(anchors)]])
            boxes = torch.cat(levels)
            owner = torch.cat([torch.full((len(level),), i) for i, level in enumerate(levels)])
            scores = torch.rand(len(boxes))
        boxes = boxes.clone()
        boxes[:, 0::2].clamp_(0, shape[1])
        boxes[:, 1::2].clamp_(0, shape[0])
        smallest = float(self.config.get('min_bbox_size', -1))
        if smallest >= 0:
            kept = ((boxes[:, 2:] - boxes[:, :2]) > smallest).all(1)
            boxes, owner, scores = boxes[kept], owner[kept], scores[kept]
        _, order = batched_nms(boxes, scores, owner, dict(self.config['nms']))
        return boxes[order[: int(self.config['max_per_img'])]]


def _as_list(parts: Any) -> list[Any]:
    """One part per stage."""
    return list(parts) if isinstance(parts, (list, tuple)) or hasattr(parts, '__len__') else [parts]
