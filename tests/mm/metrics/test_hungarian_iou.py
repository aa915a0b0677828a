"""``imbdense.HungarianIoU``: the worked example, groups, other numbers of clusters, two ranks."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip('mmengine')

from imbdense.core.metrics.confusion import LabelRangeError
from imbdense.mm.metrics.hungarian_iou import HungarianIoU
from tests.helpers.two_ranks import run_two_ranks

CLASSES = ('a', 'b', 'c')


def sample(truth: list[int], clusters: list[int]) -> dict[str, Any]:
    return {'gt_pts_seg': {'semantic': torch.tensor(truth)}, 'pred_pts_seg': {'semantic': torch.tensor(clusters)}}


def evaluate(samples: list[dict[str, Any]], size: int | None = None, **arguments: Any) -> tuple[dict, HungarianIoU]:
    metric = HungarianIoU(**arguments)
    metric.dataset_meta = {'classes': CLASSES}
    for item in samples:
        metric.process({}, [item])
    return metric.evaluate(size or len(samples)), metric


def test_worked_example_with_groups_and_ignored_points() -> None:
    found, metric = evaluate([sample([0, 0, 0, -1], [2, 2, 1, 0]), sample([1, 1, 2], [0, 0, 1])])
    assert found['oAcc'] == pytest.approx(5 / 6) and found['mIoU'] == pytest.approx(0.7222, abs=1e-4)
    assert found['IoU/b'] == 1 and found['mIoU_head'] == pytest.approx(2 / 3) and found['mIoU_tail'] == 0.5
    assert metric.artifact['owner'] == [1, 2, 0] and metric.artifact['table'] == [[0, 1, 2], [2, 0, 0], [0, 1, 0]]


def test_absent_class_more_clusters_and_images() -> None:
    image = {'gt_sem_seg': {'data': torch.tensor([[0, 0], [2, 255]])},
             'pred_sem_seg': {'data': torch.tensor([[4, 3], [1, 0]])}}  # fmt: skip
    found, _ = evaluate([image], num_clusters=5, ignore_index=255)
    assert 'IoU/b' not in found and found['mIoU'] == pytest.approx((0.5 + 1) / 2)
    many, _ = evaluate([image], num_clusters=5, ignore_index=255, many_to_one=True)
    assert many['mIoU'] == 1 == found['mIoU_many_to_one']


def test_wrong_numbers_are_named() -> None:
    with pytest.raises(LabelRangeError, match=r'\[7\]'):
        evaluate([sample([0], [7])])
    with pytest.raises(ValueError, match='2 predictions but 1 labels'):
        evaluate([sample([0], [1, 1])])
    with pytest.raises(KeyError, match='neither pred_pts_seg'):
        evaluate([{'gt_pts_seg': {'semantic': torch.tensor([0])}}])


def _on_rank() -> dict[str, float]:
    import torch.distributed as dist

    both = [sample([0, 0, 0], [2, 2, 1]), sample([1, 1, 2], [0, 0, 1])]
    return evaluate(both[dist.get_rank() :: 2], size=2)[0]


def test_two_ranks_equal_one() -> None:
    single, _ = evaluate([sample([0, 0, 0], [2, 2, 1]), sample([1, 1, 2], [0, 0, 1])])
    assert all(found == pytest.approx(single) for found in run_two_ranks(_on_rank))
