"""``PointDetDataSample``: the boxes of a point cloud, beside its facts."""

from __future__ import annotations

import numpy as np
import torch
from mmengine.structures import BaseDataElement, InstanceData
from numpy.typing import ArrayLike
from torch import Tensor


class PointDetDataSample(BaseDataElement):
    """Annotated and predicted boxes of one scene.

    ``gt_instances_3d`` and ``ignored_instances_3d``: ``boxes`` (M, 7) float32 x, y, z, l, w, h, yaw, ``labels`` (M,)
    int64 and ``difficulty`` (M,) int64. ``pred_instances_3d``: ``boxes``, ``labels`` and ``scores`` (M,).

    Metainfo: ``scene``, ``points_path``, ``calib_path`` (``None`` = no image), ``lift`` (metres that were added to z
    when the scene was loaded), ``labelled`` (``False`` = nothing is known of this scene, not even that it is
    empty), ``pseudo`` (the boxes are predicted ones), ``gt_ignored`` (M,) bool: which of all annotated boxes, in the
    order of the file, are the ignored ones.
    """

    gt_instances_3d: InstanceData
    ignored_instances_3d: InstanceData
    pred_instances_3d: InstanceData


def annotated(boxes: ArrayLike, labels: ArrayLike, difficulty: ArrayLike) -> InstanceData:
    """The content of ``gt_instances_3d`` from arrays."""
    return InstanceData(
        boxes=torch.from_numpy(np.array(boxes, np.float32).reshape(-1, 7)),
        labels=torch.from_numpy(np.array(labels, np.int64).reshape(-1)),
        difficulty=torch.from_numpy(np.array(difficulty, np.int64).reshape(-1)),
    )


def predicted(boxes: Tensor, labels: Tensor, scores: Tensor) -> InstanceData:
    """The content of ``pred_instances_3d``."""
    return InstanceData(boxes=boxes, labels=labels, scores=scores)
