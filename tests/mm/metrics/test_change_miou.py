"""ChangeMIoU: names, objects from instances or components, faults. Ranks and batches: the walk over the registry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from imbdense.mm.metrics.change_miou import ChangeMIoU

CLASSES = ('unchanged', 'new', 'gone')


def sample(seed: int, **extra: Any) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, 500, p=(0.9, 0.07, 0.03))
    truth[:5] = -1
    pred = np.where(rng.random(500) < 0.8, np.maximum(truth, 0), rng.choice(3, 500))
    known = {'semantic': torch.from_numpy(truth), 'instance': torch.from_numpy(rng.integers(-1, 6, 500))}
    return {'points_path': f'{seed}.npz', 'gt_pts_seg': known | extra,
            'pred_pts_seg': {'semantic': torch.from_numpy(pred)}}


def evaluate(samples: list[dict[str, Any]], **options: Any) -> dict[str, float]:
    metric = ChangeMIoU(**options)
    metric.dataset_meta = {'classes': CLASSES}
    for item in samples:
        metric.process({}, [item])
    found: dict[str, float] = metric.evaluate(len(samples))
    return found


def test_names_say_which_mean() -> None:
    found = evaluate([sample(0), sample(1)])
    assert found['mIoU_change'] == pytest.approx((found['IoU/new'] + found['IoU/gone']) / 2)
    assert found['mIoU_all'] == pytest.approx((found['IoU/unchanged'] + found['IoU/new'] + found['IoU/gone']) / 3)
    assert 'mIoU' not in found
    assert {'change_precision', 'change_recall', 'change_F1', 'aAcc', 'mAcc', 'detection_rate'} <= set(found)
    assert found['mIoU_change_tail'] == found['IoU/gone']


def test_objects_are_instances_else_components() -> None:
    item = sample(0)
    xyz = np.zeros((500, 3))
    truth = item['gt_pts_seg']['semantic'].numpy()
    xyz[:, 0] = np.arange(500) * 100.0  # far apart
    new = np.flatnonzero(truth == 1)
    xyz[new[:20]] = np.random.default_rng(0).uniform(0, 1, (20, 3))
    del item['gt_pts_seg']['instance']
    assert 'detection_rate' not in evaluate([item])
    item['gt_pts_seg']['xyz'] = torch.from_numpy(xyz)
    item['pred_pts_seg']['semantic'] = item['gt_pts_seg']['semantic'].clamp(min=0)
    found = evaluate([item])
    assert found['detection_rate'] == found['detection_rate/new'] == 1.0 and 'detection_rate/gone' not in found


def test_absent_class() -> None:
    item = sample(0)
    item['gt_pts_seg']['semantic'][item['gt_pts_seg']['semantic'] == 2] = 0
    skip, zero = evaluate([item]), evaluate([item], absent='zero')
    assert 'IoU/gone' not in skip and zero['IoU/gone'] == 0.0
    assert zero['mIoU_change'] == pytest.approx(skip['mIoU_change'] / 2)


def test_faults_name_the_pair() -> None:
    item = sample(3)
    item['gt_pts_seg']['semantic'][7] = 9
    with pytest.raises(ValueError, match=r'target of 3.npz holds the values \[9\]'):
        evaluate([item])
    del item['pred_pts_seg']
    with pytest.raises(KeyError, match=r"3.npz has no 'pred_pts_seg.semantic'"):
        evaluate([item])
    with pytest.raises(ValueError, match='absent'):
        ChangeMIoU(absent='one')  # type: ignore[arg-type]
