"""mmdet's ``MaxIoUAssigner`` on a few anchors instead of all, with the same result.

What it decides for an anchor depends on that anchor's overlaps and on the largest overlap of each object. So it may be
called on any subset of the anchors that holds the best ones of every object; the anchors left out are background when
no object reaches the negative threshold with them. The subset is found by windows on the anchor grid, which is fifty
times faster than all overlaps, and is cut into chunks, so that crowded images take no more memory than others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData
from numpy.typing import NDArray
from torch import Tensor

from imbdense.mm.assigned_counts.windows import AnchorGrid

CHUNK = 4_000_000
"""Overlaps (anchors x objects) in one call of the assigner: about 200 MB of intermediate results."""
MARGIN = 1e-4
"""Relative slack where an overlap computed twice is compared; more candidates than needed do no harm."""


def candidate_anchors(
    assigner: Any, grid: AnchorGrid, priors: Tensor, boxes: Tensor, usable: NDArray[np.bool_]
) -> tuple[Tensor, Tensor] | None:
    """Return (candidates, best): anchor indices that may be anything but background, and the best ones of each box.

    Args:
        assigner: a ``MaxIoUAssigner``.
        grid: where the anchors lie.
        priors: (N, 4) the anchors.
        boxes: (n, 4) objects, n > 0.
        usable: (N,) False for anchors that the assigner ignores; they are not returned.

    Returns:
        Sorted int64 indices without repetition; ``None`` where windows do not tell (an object that overlaps no anchor,
        which the assigner then gives all anchors, or a negative threshold that is a range).
    """
    threshold = assigner.neg_iou_thr
    if not isinstance(threshold, float) or not 0 < threshold <= assigner.pos_iou_thr or assigner.perm_repeat_gt_cfg:
        return None
    candidates, best = [], []
    left, level = np.arange(len(boxes)), threshold
    while left.size and level > 1e-6:
        anchors, owners = grid.pairs(boxes[left].double().numpy(), level * (1 - MARGIN))
        anchors, owners = anchors[usable[anchors]], owners[usable[anchors]]
        overlaps = assigner.iou_calculator(priors[anchors], boxes[left][owners], is_aligned=True).numpy()
        largest = np.zeros(len(left), np.float32)
        np.maximum.at(largest, owners, overlaps)
        if level == threshold:
            candidates.append(anchors[overlaps >= level * (1 - MARGIN)])
        known = largest >= level * (1 + MARGIN)
        best.append(anchors[known[owners] & (overlaps >= largest[owners] * (1 - MARGIN))])
        left, level = left[~known], level / 8
    if left.size:
        return None
    chosen = np.unique(np.concatenate(best))
    return torch.from_numpy(np.union1d(chosen, np.concatenate(candidates))), torch.from_numpy(chosen)


def best_anchors(assigner: Any, priors: Tensor, boxes: Tensor, ignored: Tensor) -> Tensor:
    """Return the indices of the anchors with the largest overlap of each object, over all anchors in chunks.

    Anchors that lie in ignored regions do not count, as in the assigner.
    """
    step = max(CHUNK // (len(boxes) + len(ignored)), 1)
    largest = torch.full((len(boxes),), -1.0)
    for only_largest in (True, False):
        found = []
        for start in range(0, len(priors), step):
            chunk = priors[start : start + step]
            overlaps = assigner.iou_calculator(boxes, chunk)
            overlaps[:, inside_ignored(assigner, chunk, ignored)] = -1
            if only_largest:
                largest = torch.maximum(largest, overlaps.amax(1))
            else:
                near = (overlaps >= (largest - MARGIN * largest.abs())[:, None]).any(0)
                found.append(start + near.nonzero().flatten())
    return torch.cat(found)


def assign_in_chunks(
    assigner: Any, priors: Tensor, best: Tensor, objects: InstanceData, ignored: InstanceData
) -> Tensor:
    """Return (N,) the assigner's ``gt_inds`` of ``priors``: -1 ignored, 0 background, else 1 + object index.

    Args:
        priors: (N, 4) any anchors.
        best: (b, 4) the best anchors of every object, put into each chunk.
        objects, ignored: with ``bboxes`` and ``labels``.
    """
    step = max(CHUNK // max(len(objects.bboxes), 1), 1)
    pieces = []
    for start in range(0, len(priors), step):
        chunk = priors[start : start + step]
        both = InstanceData(priors=torch.cat([chunk, best]) if len(chunk) < len(priors) else chunk)
        pieces.append(assigner.assign(both, objects, ignored).gt_inds[: len(chunk)])
    return torch.cat(pieces) if pieces else torch.zeros(0, dtype=torch.int64)


def inside_ignored(assigner: Any, priors: Tensor, ignored: Tensor) -> Tensor:
    """(N,) whether the assigner ignores an anchor because it lies in an ignored region."""
    inside = torch.zeros(len(priors), dtype=torch.bool)
    if assigner.ignore_iof_thr <= 0 or not len(ignored):
        return inside
    step = max(CHUNK // len(ignored), 1)
    for start in range(0, len(priors), step):
        chunk = priors[start : start + step]
        if assigner.ignore_wrt_candidates:
            share = assigner.iou_calculator(chunk, ignored, mode='iof').amax(1)
        else:
            share = assigner.iou_calculator(ignored, chunk, mode='iof').amax(0)
        inside[start : start + step] = share > assigner.ignore_iof_thr
    return inside
