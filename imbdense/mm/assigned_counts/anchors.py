"""Anchor heads: RetinaNet, ATSS, GFL, TOOD, PAA, RPN and what derives from them."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData
from numpy.typing import NDArray
from torch import Tensor

from imbdense.mm.assigned_counts.feature_sizes import Size, feature_sizes
from imbdense.mm.assigned_counts.images import DrawnImage
from imbdense.mm.assigned_counts.max_iou import (
    CHUNK,
    assign_in_chunks,
    best_anchors,
    candidate_anchors,
    inside_ignored,
)
from imbdense.mm.assigned_counts.windows import AnchorGrid


class AnchorCounter:
    """Counts the anchors of a head per class with its own ``prior_generator``, ``assigner`` and ``sampler``.

    Anchors that the head leaves out (beyond ``allowed_border``, between the thresholds, inside ignored regions, not
    drawn by a random sampler) are in neither count.

    Args:
        head: with ``prior_generator``, ``assigner``, ``sampler`` and ``train_cfg`` of mmdet's ``AnchorHead``.
        divisor: see :func:`~imbdense.mm.assigned_counts.feature_sizes.pad_divisor`.
        binary: the head tells only objects from background (RPN).
    """

    def __init__(self, head: Any, divisor: int, binary: bool) -> None:
        self.head = head
        self.divisor = divisor
        self.binary = binary
        self.classes = 1 if binary else int(head.num_classes)
        self.by_level = 'num_level_priors' in inspect.signature(head.assigner.assign).parameters
        name, ties = type(head.assigner).__name__, getattr(head.assigner, 'gt_max_assign_all', False)
        self.max_iou = name == 'MaxIoUAssigner' and ties
        self.takes_all = type(head.sampler).__name__ == 'PseudoSampler'
        self._anchors = lru_cache(maxsize=4)(self._make_anchors)

    def signature(self) -> list[Any]:
        """What the counts depend on besides the images."""
        head = self.head
        border = head.train_cfg.get('allowed_border', -1)
        return [head.prior_generator, head.assigner, head.sampler, self.divisor, border, self.classes]

    def count(self, image: DrawnImage) -> NDArray[np.int64]:
        """(1, C + 1) samples of each class, the background last."""
        sizes = feature_sizes(image.shape, self.divisor, self.head.prior_generator.strides)
        border = int(self.head.train_cfg.get('allowed_border', -1))
        anchors, levels = self._anchors(sizes, image.shape if border >= 0 else None)
        labels = torch.zeros_like(image.labels) if self.binary else image.labels
        objects = InstanceData(bboxes=image.boxes, labels=labels)
        ignored = InstanceData(bboxes=image.ignored, labels=image.ignored.new_zeros(len(image.ignored)).long())
        indices, assigned = self._assign(anchors, levels, sizes, border, objects, ignored)
        if self.takes_all:
            positive = assigned > 0
            owners = self._kept(assigned[positive] - 1, indices[positive], levels)
            chosen = labels[owners]
            background = len(anchors) - int((assigned < 0).sum()) - len(owners)
        else:
            chosen, background = self._sampled(anchors, indices, assigned, objects)
        return class_row(chosen, background, self.classes)

    def _kept(self, owners: Tensor, indices: Tensor, levels: list[int]) -> Tensor:
        """Of the objects (k,) that anchors ``indices`` (k,) are assigned to, those that stay; others are background."""
        return owners

    def _assign(
        self, anchors: Tensor, levels: list[int], sizes: tuple[Size, ...], border: int, objects: InstanceData,
        ignored: InstanceData,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """(k,) indices of anchors and (k,) what they are assigned to; all others are background."""
        everything = torch.arange(len(anchors))
        if not len(objects.bboxes):
            return everything[:0], everything[:0]
        assigner = self.head.assigner
        if self.by_level:
            return everything, assigner.assign(InstanceData(priors=anchors), levels, objects, ignored).gt_inds
        if not self.max_iou:
            return everything, assigner.assign(InstanceData(priors=anchors), objects, ignored).gt_inds
        grid = self._grid(sizes) if border < 0 else None
        if grid is not None:
            left_out = inside_ignored(assigner, anchors, ignored.bboxes)
            found = candidate_anchors(assigner, grid, anchors, objects.bboxes, ~left_out.numpy())
            if found is not None:
                indices = torch.cat([found[0], left_out.nonzero().flatten()])
                assigned = torch.full_like(indices, -1)
                assigned[: len(found[0])] = assign_in_chunks(
                    assigner, anchors[found[0]], anchors[found[1]], objects, ignored[:0]
                )
                return indices, assigned
        best = everything[:0]
        if len(anchors) * len(objects.bboxes) > CHUNK:
            best = best_anchors(assigner, anchors, objects.bboxes, ignored.bboxes)
        return everything, assign_in_chunks(assigner, anchors, anchors[best], objects, ignored)

    def _sampled(
        self, anchors: Tensor, indices: Tensor, assigned: Tensor, objects: InstanceData
    ) -> tuple[Tensor, int]:
        """Labels and number of background samples that the head's sampler draws."""
        from mmdet.models.task_modules.assigners import AssignResult

        full = torch.zeros(len(anchors), dtype=torch.int64)
        full[indices] = assigned
        labels = torch.full_like(full, -1)
        labels[full > 0] = objects.labels[full[full > 0] - 1]
        result = AssignResult(len(objects.bboxes), full, torch.zeros(len(full)), labels=labels)
        drawn = self.head.sampler.sample(result, InstanceData(priors=anchors), objects)
        return labels[drawn.pos_inds], len(drawn.neg_inds)

    def _grid(self, sizes: tuple[Size, ...]) -> AnchorGrid | None:
        """The anchors as a grid; ``None`` for generators that are not plain grids."""
        generator = self.head.prior_generator
        if type(generator).__name__ not in ('AnchorGenerator', 'LegacyAnchorGenerator'):
            return None
        return AnchorGrid([base.double().numpy() for base in generator.base_anchors], generator.strides, sizes)

    def _make_anchors(self, sizes: tuple[Size, ...], inside: Size | None) -> tuple[Tensor, list[int]]:
        """All anchors (N, 4) and their number per level; with ``inside`` only those within the allowed border."""
        from mmdet.models.task_modules.prior_generators import anchor_inside_flags

        per_level = self.head.prior_generator.grid_priors(list(sizes), device='cpu')
        per_level = [getattr(anchors, 'tensor', anchors) for anchors in per_level]
        if inside is not None:
            border = int(self.head.train_cfg.get('allowed_border', -1))
            every = [torch.ones(len(anchors), dtype=torch.bool) for anchors in per_level]
            per_level = [
                anchors[anchor_inside_flags(anchors, flags, inside, border)] for anchors, flags in zip(per_level, every)
            ]
        return torch.cat(per_level), [len(anchors) for anchors in per_level]


class PAACounter(AnchorCounter):
    """Counts the anchors that a ``PAAHead`` chooses its positives from: of each object and level at most ``topk``.

    The head assigns by IoU alone, keeps the ``topk`` of least loss per object and level, and lets a mixture of two
    Gaussians over their losses say which are positive. How many go into the mixture is known without predictions, how
    many come out is not. An object with a single candidate gets none.
    """

    def signature(self) -> list[Any]:
        """What the counts depend on besides the images."""
        return [*super().signature(), int(self.head.topk)]

    def _kept(self, owners: Tensor, indices: Tensor, levels: list[int]) -> Tensor:
        """At most ``topk`` per object and level."""
        if not len(owners):
            return owners
        level = torch.searchsorted(torch.tensor(levels).cumsum(0), indices, right=True)
        table = torch.zeros(int(owners.max()) + 1, len(levels), dtype=torch.int64)
        table.index_put_((owners, level), torch.ones_like(owners), accumulate=True)
        kept = table.clamp_max(int(self.head.topk)).sum(dim=1)
        return torch.repeat_interleave(torch.where(kept > 1, kept, 0))


def class_row(labels: Tensor, background: int, classes: int) -> NDArray[np.int64]:
    """(1, C + 1) how often each of ``labels`` occurs, then the background."""
    counts = np.bincount(labels.numpy(), minlength=classes)
    return np.append(counts, background).astype(np.int64)[None]
