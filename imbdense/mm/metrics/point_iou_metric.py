"""Segmentation scores of point clouds from one confusion table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.checks import check_choice
from imbdense.core.metrics.confusion_scores import ConfusionScores
from imbdense.core.metrics.groups import GroupSpec
from imbdense.mm.metrics.confusion_metric import ConfusionMetric
from imbdense.mm.metrics.group_counts import CountsArg
from imbdense.registry import METRICS

CURES = {
    'gt_pts_seg': 'The evaluated clouds have no labels: look at split and need_labels of the data set.',
    'pred_pts_seg': 'Is the model an imbdense.PointEncoderDecoder, or does its predict() write pred_pts_seg?',
}


@METRICS.register_module()
class PointIoUMetric(ConfusionMetric):
    """IoU, Dice, precision, recall per class and per frequency group of raw points, from one int64 confusion table.

    Everything as in :class:`ConfusionMetric`, with points for pixels and scenes for images.

    Args:
        absent: what a class without a true point counts. ``'skip'``: nothing, it is left out of every mean.
            ``'randla'``: as the evaluation of RandLA-Net (STPLS3D, Toronto-3D) does, its IoU is the mean of the others:
            mIoU is the same, but the class is reported, and the mean of its group takes it in. Its Dice, precision and
            recall stay out.
        groups, class_counts, count, per_image, collect_device, prefix: as there; ``count='pixels'`` = points.
        ignore_index: label that is not counted.
    """

    card = 'point_iou_metric'
    elements = 'points'
    tasks = ('points',)

    def __init__(
        self,
        absent: Literal['skip', 'randla'] = 'skip',
        groups: GroupSpec = None,
        class_counts: CountsArg = None,
        count: str = 'pixels',
        ignore_index: int = -1,
        per_image: bool = True,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(groups, class_counts, count, ignore_index, per_image, collect_device, prefix)
        self.absent = check_choice('absent', absent, ('skip', 'randla'), owner='PointIoUMetric')

    def prediction_and_truth(self, sample: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """(N,) class indices of the points, predicted and true."""
        return _semantic(sample, 'pred_pts_seg'), _semantic(sample, 'gt_pts_seg')

    def scores(self, table: NDArray[np.int64]) -> ConfusionScores:
        """Scores of the summed table; an absent class as ``absent`` says."""
        found = super().scores(table)
        if self.absent == 'skip' or not found.present.any():
            return found
        return replace(found, iou=np.where(found.present, found.iou, found.iou[found.present].mean()))


def _semantic(sample: Mapping[str, Any], key: str) -> Tensor:
    """The class indices of one side."""
    values: Tensor | None = (sample.get(key) or {}).get('semantic')
    if values is None:
        place = sample.get('points_path') or sample.get('scene') or 'an unnamed cloud'
        raise KeyError(f"PointIoUMetric: the sample of {place} has no '{key}.semantic'. {CURES[key]}")
    return values
