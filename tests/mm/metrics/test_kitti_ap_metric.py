"""AP of boxes in space through the metric: perfect and shifted detections, difficulties, heights in the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from imbdense.core.metrics.kitti_ap import KittiFrame, kitti_ap
from imbdense.data.lidar_scene.generate import CALIB
from imbdense.mm.metrics.kitti_ap_metric import KittiAPMetric
from imbdense.mm.transforms.pack_point_det_inputs import PackPointDetInputs

CLASSES = ('Car', 'Pedestrian', 'Cyclist')


def sample(number: int, shift: float = 0.0, **more: Any) -> dict[str, Any]:
    """Twelve objects, a third of each class; those with number 9 and more are ignored."""
    generator = torch.Generator().manual_seed(number)
    boxes = torch.rand(12, 7, generator=generator) * torch.tensor([1.0, 1, 0, 0, 0, 0, 6])
    boxes[:, 0] += torch.arange(12) * 6 + 6
    boxes[:, 3:6] = torch.tensor([4.0, 2.0, 1.6])
    labels, difficulty = torch.arange(12) % 3, torch.arange(12) % 4
    found = boxes.clone()
    found[:, 0] += shift
    parts = [{'boxes': boxes[rows], 'labels': labels[rows], 'difficulty': difficulty[rows]}
             for rows in (slice(0, 9), slice(9, 12))]
    scores = torch.rand(12, generator=generator)
    return {'gt_instances_3d': parts[0], 'ignored_instances_3d': parts[1],
            'pred_instances_3d': {'boxes': found, 'labels': labels, 'scores': scores}, **more}  # fmt: skip


def evaluate(samples: list[dict[str, Any]], **arguments: Any) -> dict[str, float]:
    metric = KittiAPMetric(**arguments)
    metric.dataset_meta = {'classes': CLASSES}
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def test_perfect_detections() -> None:
    """Ignored ones are no false alarms."""
    values = evaluate([sample(i) for i in range(45)], r11=True)  # R40 needs 41 objects to reach 1
    assert values['boxes_3d/bev_ap50'] == values['boxes_3d/3d_recall50/Car'] == pytest.approx(1.0)
    assert values['boxes_3d/bev_r40_hard/Car'] == pytest.approx(1.0) == values['boxes_3d/3d_r11_hard/Cyclist']


def test_shift_fails_the_car_and_not_the_pedestrian() -> None:
    """0.6 m along x, boxes in any direction: IoU .54 to .74, mostly below .7, the limit of cars."""
    values = evaluate([sample(i, shift=0.6) for i in range(45)])
    assert values['boxes_3d/bev_r40_hard/Car'] < 0.9 < values['boxes_3d/bev_ap50/Car']
    assert values['boxes_3d/bev_r40_hard/Pedestrian'] > 0.95
    lax = evaluate([sample(i, shift=0.6) for i in range(45)], min_overlaps=[0.3, 0.5, 0.5])
    assert lax['boxes_3d/bev_r40_hard/Car'] > 0.95


def test_equals_the_core_function() -> None:
    samples = [sample(i, shift=0.5) for i in range(10)]
    values = evaluate(samples)
    from imbdense.core.boxes3d import iou_3d

    frames = []
    for one in samples:
        gt, other, found = one['gt_instances_3d'], one['ignored_instances_3d'], one['pred_instances_3d']
        boxes, labels = torch.cat([gt['boxes'], other['boxes']]), torch.cat([gt['labels'], other['labels']])
        harder = torch.cat([gt['difficulty'] > 1, torch.ones(3, dtype=torch.bool)])
        rows, columns = found['labels'] == 1, labels == 1
        table = iou_3d(found['boxes'][rows], boxes[columns]).numpy()
        none = np.zeros(int(rows.sum()), bool)
        frames.append(KittiFrame(table, found['scores'][rows].numpy(), none, harder[columns].numpy()))
    assert values['boxes_3d/3d_r40_moderate/Pedestrian'] == pytest.approx(kitti_ap(frames, 0.5).r40)


def test_objects_keep_the_order_of_the_file() -> None:
    """A van and a car that share their place, one detection: whoever comes first in the file takes it."""
    box, one = torch.tensor([[10.0, 0, 0, 4, 2, 1.6, 0]]), torch.zeros(1, dtype=torch.int64)
    part = {'boxes': box, 'labels': one, 'difficulty': one}
    found = {'boxes': box, 'labels': one, 'scores': torch.ones(1)}
    for car_first in (True, False):
        results = {
            'points': np.zeros((1, 3), np.float32), 'gt_boxes_3d': np.repeat(box.numpy(), 2, 0),
            'gt_labels_3d': np.zeros(2, np.int64), 'gt_ignored_3d': np.array([not car_first, car_first]),
            'gt_difficulty': np.zeros(2, np.int64),
        }  # fmt: skip
        packed = PackPointDetInputs([])(results)['data_samples']
        packed.pred_instances_3d = InstanceData(**found)
        samples = [packed.to_dict()] + [
            {'gt_instances_3d': part, 'ignored_instances_3d': {name: value[:0] for name, value in part.items()},
             'pred_instances_3d': found} for _ in range(3)]  # fmt: skip
        value = evaluate(samples)['boxes_3d/3d_r40_easy/Car']
        assert value == pytest.approx((3 if car_first else 2) / 40)  # four cars: all found, or one taken away


def test_far_detections_are_small_in_the_image(tmp_path: Path) -> None:
    """At 6 m a box is 190 pixels high, at 90 m 13: such false alarms do not count; without an image they do."""
    from imbdense.data.boxes3d import write_calib

    write_calib(tmp_path / 'calib.txt', CALIB)
    values = []
    for calib in (str(tmp_path / 'calib.txt'), None):
        samples = [sample(i, calib_path=calib, lift=0.0) for i in range(45)]
        for one in samples:
            far = one['pred_instances_3d']
            alarm = torch.tensor([[90.0, 5, 0, 4, 2, 1.6, 0]])
            more = {'boxes': alarm, 'labels': torch.tensor([0]), 'scores': torch.tensor([2.0])}
            far.update({name: torch.cat([far[name], value]) for name, value in more.items()})
        values.append(evaluate(samples)['boxes_3d/bev_r40_hard/Car'])
    assert values[1] < 0.8 < values[0]


def test_absent_class_and_errors() -> None:
    one = sample(0)
    for part in ('gt_instances_3d', 'ignored_instances_3d'):
        keep = one[part]['labels'] != 2
        one[part] = {name: value[keep] for name, value in one[part].items()}
    assert not [name for name in evaluate([one]) if name.endswith('/Cyclist')]
    with pytest.raises(ValueError, match='2 numbers for 3 classes'):
        evaluate([one], min_overlaps=[0.5, 0.5])
    with pytest.raises(ValueError, match='iou_thrs'):
        KittiAPMetric(iou_thrs=[0.0])
