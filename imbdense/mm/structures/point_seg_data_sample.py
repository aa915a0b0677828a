"""The sample of point cloud segmentation: labels and predictions of N points."""

from __future__ import annotations

from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor


class PointData(InstanceData):
    """What is known of each of N points: every field has N entries, and indexing picks points.

    Usual fields: ``semantic`` (N,) int64 train ids, -1 ignored; ``instance`` (N,) int64, -1 none; ``scores`` (N, C)
    float32 class probabilities.
    """


class PointSegDataSample(BaseDataElement):
    """Labels and predictions of one cloud; ``scene``, ``points_path`` and ``origin`` (3,) float64 are in the metainfo.

    Attributes:
        gt_pts_seg: the labels, with the fields that the cloud has.
        pred_pts_seg: the prediction for the same points, in the same order.
        point_info: what a model needs to know of each point beside its input (``info`` of ``PackPointInputs``).
        voxel_index: (N,) int64, the row of the batch's voxels that each point lies in; from ``PointDataPreProcessor``.
    """

    gt_pts_seg: PointData
    pred_pts_seg: PointData
    point_info: PointData
    voxel_index: Tensor
