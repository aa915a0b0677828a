"""PointIoUMetric: points for pixels, and what an absent class counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmengine')

from imbdense.core.metrics.confusion import LabelRangeError
from imbdense.mm.metrics.point_iou_metric import PointIoUMetric

CLASSES = ('ground', 'building', 'mast')


def evaluate(truth: list[int], pred: list[int], **options: Any) -> tuple[dict[str, float], PointIoUMetric]:
    metric = PointIoUMetric(**options)
    metric.dataset_meta = {'classes': CLASSES}
    sample = {'points_path': 'a.laz', 'scene': 'a', 'gt_pts_seg': {'semantic': torch.tensor(truth)},
              'pred_pts_seg': {'semantic': torch.tensor(pred)}}  # fmt: skip
    metric.process({}, [sample])
    return metric.evaluate(1), metric


def test_hand_example() -> None:
    values, metric = evaluate([0, 0, 0, 1, 2, -1], [0, 0, 1, 1, 0, 2])
    assert values['IoU/ground'] == pytest.approx(2 / 4) and values['IoU/building'] == pytest.approx(1 / 2)
    assert values['IoU/mast'] == 0 and values['mIoU'] == pytest.approx(1 / 3) and values['aAcc'] == pytest.approx(0.6)
    assert metric.artifact['kind'] == 'confusion' and metric.artifact['per_image'][0]['img_path'] == 'a.laz'
    assert {'mIoU_head', 'mIoU_medium', 'mIoU_tail'} <= set(values)


@pytest.mark.parametrize(('absent', 'tail'), [('skip', None), ('randla', 0.5)])
def test_absent_class(absent: str, tail: float | None) -> None:
    """RandLA's evaluation puts the mean of the present classes in the place of an absent one."""
    values, metric = evaluate([0, 0, 0, 1], [0, 0, 1, 2], absent=absent, class_counts=[90, 9, 1])
    present = np.array([2 / 3, 0.0])
    assert values['mIoU'] == pytest.approx(present.mean())
    if absent == 'skip':
        assert 'IoU/mast' not in values and 'mIoU_tail' not in values
    else:
        assert values['IoU/mast'] == values['mIoU_tail'] == pytest.approx(present.mean())
    assert 'recall/mast' not in values and metric.artifact['absent'] == [2]


def test_nothing_to_count_and_wrong_samples() -> None:
    values, _ = evaluate([-1, -1], [0, 1], absent='randla')
    assert values == {}
    with pytest.raises(LabelRangeError, match=r'a\.laz'):
        evaluate([0, 7], [0, 1])
    metric = PointIoUMetric()
    metric.dataset_meta = {'classes': CLASSES}
    with pytest.raises(KeyError, match=r'b\.laz.*gt_pts_seg'):
        metric.process({}, [{'points_path': 'b.laz', 'pred_pts_seg': {'semantic': torch.tensor([0])}}])
    with pytest.raises(ValueError, match='absent'):
        PointIoUMetric(absent='zero')
