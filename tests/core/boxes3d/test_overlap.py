"""IoU of turned boxes: worked example, clipping of polygons, other libraries, edge cases, invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from imbdense.core.boxes3d import bev_iou, iou_3d, shared_area
from imbdense.core.boxes3d import overlap as module
from tests.core.boxes3d.boxes import random_boxes, slow_bev_iou


def box(x: float = 0, y: float = 0, z: float = 0, length: float = 4, width: float = 2, height: float = 1.6,
        yaw: float = 0) -> torch.Tensor:
    return torch.tensor([[x, y, z, length, width, height, yaw]], dtype=torch.float64)


@pytest.mark.parametrize(('shift', 'expected'), [(0.5, 3.5 / 4.5), (1.0, 3 / 5), (4.0, 0.0), (0.0, 1.0)])
@pytest.mark.parametrize('yaw', [0.0, 0.7, math.pi / 2, -3.0])
def test_worked_example_of_redb(shift: float, expected: float, yaw: float) -> None:
    """4 x 2 x 1.6 m boxes, one moved along its length."""
    moved = box(shift * math.cos(yaw), shift * math.sin(yaw), yaw=yaw)
    assert iou_3d(box(yaw=yaw), moved).item() == pytest.approx(expected, abs=1e-12)
    assert bev_iou(box(yaw=yaw), moved).item() == pytest.approx(expected, abs=1e-12)


def test_hand_examples() -> None:
    """A square and itself turned by 45 degrees share a regular octagon: 8 (sqrt 2 - 1) r^2."""
    square, turned = box(length=2, width=2), box(length=2, width=2, yaw=math.pi / 4)
    assert shared_area(square, turned).item() == pytest.approx(8 * (math.sqrt(2) - 1), abs=1e-12)
    assert shared_area(box(), box(length=1, width=0.5, yaw=0.3)).item() == pytest.approx(0.5, abs=1e-12)  # inside
    assert iou_3d(box(), box(z=0.8)).item() == pytest.approx(1 / 3)
    assert iou_3d(box(), box(z=1.6)).item() == 0


def test_equals_clipping_of_polygons() -> None:
    first, second = random_boxes(40), random_boxes(40, seed=1)
    expected = slow_bev_iou(first, second)
    assert (expected > 0).float().mean() > 0.3
    torch.testing.assert_close(bev_iou(first, second), expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(bev_iou(first, second, aligned=True), expected.diagonal(), atol=1e-12, rtol=0)


def test_equals_mmcv() -> None:
    ops = pytest.importorskip('mmcv.ops')
    first, second = random_boxes(60).float(), random_boxes(60, seed=1).float()
    columns = [0, 1, 3, 4, 6]
    expected = ops.box_iou_rotated(first[:, columns], second[:, columns])
    torch.testing.assert_close(bev_iou(first, second).float(), expected, atol=1e-4, rtol=0)


def test_volume_iou_from_the_areas() -> None:
    first, second = random_boxes(30), random_boxes(30, seed=1)
    ground = slow_bev_iou(first, second)
    area_a, area_b = first[:, 3] * first[:, 4], second[:, 3] * second[:, 4]
    shared = ground * (area_a[:, None] + area_b) / (1 + ground)
    top = torch.minimum((first[:, 2] + first[:, 5] / 2)[:, None], second[:, 2] + second[:, 5] / 2)
    bottom = torch.maximum((first[:, 2] - first[:, 5] / 2)[:, None], second[:, 2] - second[:, 5] / 2)
    shared = shared * (top - bottom).clamp_min(0)
    union = (area_a * first[:, 5])[:, None] + area_b * second[:, 5] - shared
    torch.testing.assert_close(iou_3d(first, second), shared / union)


def test_edges_that_touch_and_boxes_without_area() -> None:
    assert bev_iou(box(), box(4)).item() == 0 and bev_iou(box(), box(0, 2)).item() == 0
    assert bev_iou(box(), box(4, 2)).item() == 0  # a corner
    for flat in (box(length=0), box(width=0), box(length=0, width=0)):
        assert bev_iou(flat, flat).item() == 0 and bev_iou(flat, box()).item() == 0
    assert iou_3d(box(height=0), box(height=0)).item() == 0
    for kind in (bev_iou, iou_3d):
        assert kind(box()[:0], box()).shape == (0, 1) and kind(np.zeros((0, 7)), np.zeros((0, 7))).shape == (0, 0)


def test_identical_boxes_in_any_place_and_turn() -> None:
    """Also far away in float32, where corners are rounded."""
    boxes = random_boxes(200, span=1e5).float()
    assert bev_iou(boxes, boxes, aligned=True).min() > 1 - 1e-6
    turned = boxes.clone()
    turned[:, 6] += math.pi
    assert bev_iou(boxes, turned, aligned=True).min() > 1 - 1e-5


def test_invariances() -> None:
    """Symmetric; moved and turned together nothing changes."""
    first, second = random_boxes(30), random_boxes(30, seed=2)
    table = iou_3d(first, second)
    torch.testing.assert_close(table, iou_3d(second, first).T)
    assert table.min() >= 0 and table.max() <= 1
    moved = []
    for boxes in (first, second):
        other = boxes.clone()
        cosine, sine = math.cos(1.1), math.sin(1.1)
        other[:, 0] = boxes[:, 0] * cosine - boxes[:, 1] * sine + 300
        other[:, 1] = boxes[:, 0] * sine + boxes[:, 1] * cosine - 70
        other[:, 6] += 1.1
        moved.append(other)
    torch.testing.assert_close(iou_3d(*moved), table, atol=1e-9, rtol=0)


def test_gradient() -> None:
    """Boxes in general position: the area is differentiable."""
    first, second = random_boxes(6, span=2).requires_grad_(), random_boxes(6, seed=3, span=2).requires_grad_()
    assert torch.autograd.gradcheck(shared_area, (first, second))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = random_boxes(20), random_boxes(20, seed=1)
    whole = bev_iou(first, second)
    monkeypatch.setattr(module, 'PAIRS', 7)
    assert torch.equal(bev_iou(first, second), whole)


def test_errors() -> None:
    with pytest.raises(ValueError, match=r'\(N, 7\)'):
        bev_iou(torch.zeros(2, 5), box())
    with pytest.raises(ValueError, match='equally many'):
        bev_iou(box(), random_boxes(2), aligned=True)
