"""Overlapped boxes counting, for boxes and for regions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from imbdense.core.overlaps import box_iou
from imbdense.core.pseudo_label import overlapped_box_count, overlapped_region_count


def some_boxes(rng: np.random.Generator, size: int, width: float = 30.0) -> np.ndarray:
    corner = rng.uniform(0, 100, (size, 2))
    return np.concatenate([corner, corner + rng.uniform(5, width, (size, 2))], axis=1)


def slow_count(boxes, proposals, scores, iou_thr=0.3, topk=1024):
    order = sorted(range(len(proposals)), key=lambda k: -scores[k])
    best = [k for k in order if proposals[k].any()][:topk]
    counts = []
    for x1, y1, x2, y2 in boxes:
        count = 0
        for a1, b1, a2, b2 in proposals[best]:
            inter = max(0.0, min(x2, a2) - max(x1, a1)) * max(0.0, min(y2, b2) - max(y1, b1))
            count += inter / ((x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - inter) > iou_thr
        counts.append(count)
    return counts


def test_by_hand() -> None:
    boxes = [[0, 0, 10, 10], [50, 50, 60, 60]]
    proposals = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [6, 0, 16, 10], [0, 0, 10, 3.0]])  # IoU 1, 1/3, 1/4, .3
    assert overlapped_box_count(np.array(boxes), proposals, [0.9, 0.8, 0.7, 0.6]).tolist() == [2, 0]
    assert overlapped_box_count(np.array(boxes), proposals, [0.9, 0.8, 0.7, 0.6], iou_thr=0.2).tolist() == [4, 0]


def test_against_loops_with_more_boxes_than_a_chunk() -> None:
    rng = np.random.default_rng(0)
    boxes, proposals, scores = some_boxes(rng, 300), some_boxes(rng, 200), rng.random(200)
    counts = overlapped_box_count(boxes, proposals, scores, topk=120)
    assert counts.dtype == np.int64 and counts.tolist() == slow_count(boxes, proposals, scores, topk=120)
    assert counts.max() > 5


def test_only_the_best_count_and_padding_takes_no_place_among_them() -> None:
    box = np.array([[0, 0, 10, 10.0]])
    far = [[50, 50, 60, 60.0]]
    proposals = np.array([[0, 0, 0, 0]] * 3 + [[0, 0, 10, 10.0]] * 3 + far)
    scores = [0.9, 0.9, 0.9, 0.5, 0.4, 0.3, 0.8]
    assert overlapped_box_count(box, proposals, scores, topk=2).tolist() == [1]
    assert overlapped_box_count(box, proposals, scores, topk=3).tolist() == [2]
    everything = overlapped_box_count(box, proposals, scores, iou=lambda a, b: np.ones((len(a), len(b))))
    assert everything.tolist() == [4], 'also where the IoU function gives something for padding'


def test_scores_of_all_classes_are_ranked_by_the_largest() -> None:
    box, proposals = np.array([[0, 0, 10, 10.0]]), np.array([[0, 0, 10, 10.0], [40, 40, 50, 50]])
    assert overlapped_box_count(box, proposals, [[0.1, 0.8], [0.5, 0.6]], topk=1).tolist() == [1]
    assert overlapped_box_count(box, proposals, [[0.1, 0.5], [0.9, 0.6]], topk=1).tolist() == [0]


def test_tensors_go_to_the_iou_function_as_tensors() -> None:
    rng = np.random.default_rng(1)
    boxes, proposals, scores = some_boxes(rng, 20), some_boxes(rng, 60), rng.random(60)
    seen = []

    def iou(first, second):
        seen.append((type(first), first.dtype, len(second)))
        return torch.from_numpy(box_iou(first, second))

    tensors = [torch.from_numpy(values) for values in (boxes, proposals, scores)]
    assert overlapped_box_count(*tensors, topk=30, iou=iou).tolist() == slow_count(boxes, proposals, scores, topk=30)
    assert seen == [(torch.Tensor, torch.float64, 30)]
    half = overlapped_box_count(tensors[0], tensors[1], tensors[2].bfloat16())
    assert half.tolist() == slow_count(boxes, proposals, scores), 'half-precision scores of autocast'


def test_boxes_in_space_with_a_bird_eye_overlap() -> None:
    """Centre x, y, z, length, width, height, yaw = 0: cars at other heights still count."""

    def bird_eye(first, second):
        return box_iou(*(np.concatenate([b[:, :2] - b[:, 3:5] / 2, b[:, :2] + b[:, 3:5] / 2], axis=1)
                         for b in (first, second)))  # fmt: skip

    car = np.array([[10, 10, 0, 4, 2, 1.6, 0.0]])
    shifted = car + np.array([[0, 0, 5, 0, 0, 0, 0], [0.5, 0, 0, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0, 0.0]])
    assert overlapped_box_count(car, shifted, [0.5, 0.5, 0.5], iou=bird_eye).tolist() == [2]


def test_without_boxes_and_without_proposals() -> None:
    none = np.zeros((0, 4))
    assert overlapped_box_count(none, some_boxes(np.random.default_rng(0), 5), np.ones(5)).shape == (0,)
    assert overlapped_box_count(np.array([[0, 0, 1, 1.0]]), none, []).tolist() == [0]
    assert overlapped_box_count(np.array([[0, 0, 1, 1.0]]), np.zeros((3, 4)), [1, 1, 1]).tolist() == [0]
    assert overlapped_box_count(torch.ones(2, 4), torch.zeros(0, 4), torch.zeros(0, 7)).tolist() == [0, 0]


def test_wrong_arguments_are_named() -> None:
    box = np.array([[0, 0, 1, 1.0]])
    with pytest.raises(ValueError, match='1 proposals but scores of shape'):
        overlapped_box_count(box, box, [0.5, 0.5])
    with pytest.raises(ValueError, match='finite'):
        overlapped_box_count(box, box, [float('nan')])
    with pytest.raises(ValueError, match=r'iou must return \(1, 1\)'):
        overlapped_box_count(box, box, [0.5], iou=lambda a, b: np.ones(1))
    with pytest.raises(ValueError, match='topk'):
        overlapped_box_count(box, box, [0.5], topk=0)


def test_regions_by_hand() -> None:
    """A 2x2 region of class 1: found exactly, found half, found under another class, found touching over a corner."""
    regions = np.zeros((4, 6), int)
    regions[:2, :2] = 1
    regions[2:, 4:] = 2
    passes = np.zeros((5, 4, 6), int)
    passes[0, :2, :2] = 1
    passes[1, :2, :1] = 1  # IoU 1/2
    passes[2, :2, :2] = 2
    passes[3, 0, 0] = passes[3, 1, 1] = 1  # one region of two pixels, IoU 1/2
    passes[4, :2, :2] = 1
    passes[4, :, 2:] = 1  # grown together with much more: IoU 4/20
    assert overlapped_region_count(regions, [1, 2], passes).tolist() == [3, 0]
    assert overlapped_region_count(regions, [1, 2], passes, iou_thr=0.5).tolist() == [1, 0]
    assert overlapped_region_count(regions, [2, 2], passes).tolist() == [1, 0]


def test_regions_against_masks() -> None:
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(0, 3, (6, 6)), np.ones((5, 5), int))
    regions, classes = np.zeros_like(truth), []
    for label in range(3):
        found, number = ndimage.label(truth == label, structure=np.ones((3, 3)))
        regions[found > 0] = found[found > 0] + len(classes)
        classes += [label] * number
    noisy = np.where(rng.random(truth.shape) < 0.15, rng.integers(0, 3, truth.shape), truth)
    passes = np.stack([noisy, *(np.roll(truth, shift, axis=1) for shift in (1, 3, 4, 9))])
    slow = []
    for index, label in enumerate(classes):
        own, count = regions == index + 1, 0
        for labels in passes:
            found, number = ndimage.label(labels == label, structure=np.ones((3, 3)))
            ious = [(own & (found == j)).sum() / (own | (found == j)).sum() for j in range(1, number + 1)]
            count += max(ious, default=0) > 0.3
        slow.append(count)
    assert overlapped_region_count(regions, classes, passes).tolist() == slow
    assert len(set(slow)) > 2


def test_regions_without_any_and_wrong_shapes() -> None:
    empty = np.zeros((3, 3), int)
    assert overlapped_region_count(empty, [], empty[None]).tolist() == []
    assert overlapped_region_count(empty, [1, 2], np.ones((4, 3, 3), int)).tolist() == [0, 0], 'regions without pixels'
    assert overlapped_region_count(empty + 1, [1], np.zeros((0, 3, 3), int)).tolist() == [0], 'no pass'
    with pytest.raises(ValueError, match='expected regions'):
        overlapped_region_count(empty, [], empty)
    with pytest.raises(ValueError, match='holds region 1 but there are 0'):
        overlapped_region_count(empty + 1, [], empty[None])
