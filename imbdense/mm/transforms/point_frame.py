"""The points and boxes of a sample as the functions of ``core.boxes3d`` take them.

Keys: ``points`` float32 (N, 3), ``attributes`` name -> float32 (N, k); ``gt_boxes_3d`` float32 (M, 7),
``gt_labels_3d`` int64 (M,), ``gt_ignored_3d`` bool (M,), ``gt_difficulty`` int64 (M,).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from imbdense.mm.transforms.point_fields import part_table, table_parts

EMPTY_BOXES: dict[str, Any] = {
    'gt_boxes_3d': np.zeros((0, 7), np.float32), 'gt_labels_3d': np.zeros(0, np.int64),
    'gt_ignored_3d': np.zeros(0, bool), 'gt_difficulty': np.zeros(0, np.int64),
}  # fmt: skip
"""What a scene without boxes holds."""


def point_matrix(results: dict[str, Any]) -> Tensor:
    """(N, 3 + F) float32: places, then the attributes in the order of their names, as in an instance bank."""
    return torch.from_numpy(np.ascontiguousarray(part_table(results), dtype=np.float32))


def set_points(results: dict[str, Any], matrix: Tensor) -> None:
    """Write a matrix of :func:`point_matrix` back; it may have other rows."""
    results.update(table_parts(matrix.numpy(), results))


def frame_boxes(results: dict[str, Any], owner: str) -> Tensor:
    """``gt_boxes_3d`` as a tensor, ignored ones included.

    Raises:
        ValueError: the sample has none; the message names ``owner``.
    """
    if results.get('gt_boxes_3d') is None:
        raise ValueError(f'{owner}: no gt_boxes_3d in results. Put it after LoadBoxes3d or PseudoBoxes3d.')
    return torch.from_numpy(np.asarray(results['gt_boxes_3d'], np.float32))


def add_boxes(results: dict[str, Any], boxes: Tensor, labels: np.ndarray[Any, Any]) -> None:
    """Append objects (m, 7) with their classes (m,); they are not ignored."""
    new = {'gt_boxes_3d': boxes.numpy().astype(np.float32), 'gt_labels_3d': np.asarray(labels, np.int64),
           'gt_ignored_3d': np.zeros(len(boxes), bool), 'gt_difficulty': np.zeros(len(boxes), np.int64)}
    for name, values in new.items():
        results[name] = np.concatenate([results[name], values])
