"""Non-maximum suppression of turned boxes seen from above."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from imbdense.core.boxes3d.overlap import bev_iou
from imbdense.core.checks import check_number


def rotated_nms(
    boxes: Tensor, scores: Tensor, iou_thr: float, labels: Tensor | None = None, limit: int | None = None
) -> Tensor:
    """Return the indices of the boxes that no better one overlaps by more than ``iou_thr`` from above, best first.

    Greedy by falling score; of equal scores the earlier box is better. What was suppressed suppresses nothing.

    Args:
        boxes: (N, 7). scores: (N,). N may be 0.
        iou_thr: in [0, 1]; the overlap must be above.
        labels: (N,) classes, which do not suppress each other; ``None`` = all are of one.
        limit: consider only so many of the best; ``None`` = all. Cost is quadratic in it where boxes crowd.

    Returns:
        (K,) int64.
    """
    check_number('iou_thr', iou_thr, low=0.0, high=1.0, owner='rotated_nms')
    order = scores.argsort(descending=True, stable=True)[:limit]
    if len(order) == 0:
        return order
    best = boxes[order]
    over = bev_iou(best, best) > iou_thr
    if labels is not None:
        over &= labels[order][:, None] == labels[order][None]
    table = over.triu(1).cpu().numpy()
    alive = np.ones(len(order), dtype=bool)
    for place in np.flatnonzero(table.any(axis=1)):
        if alive[place]:
            alive[table[place]] = False
    return order[torch.from_numpy(alive).to(order.device)]
