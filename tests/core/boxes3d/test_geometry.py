"""Corners, enlarged boxes, points inside; suppression; offsets; augmentation."""

from __future__ import annotations

import math

import pytest
import torch

from imbdense.core.boxes3d import (
    bev_corners,
    bev_iou,
    box_offset_loss,
    corners,
    decode_boxes,
    direction_class,
    encode_boxes,
    enlarge,
    limit_angle,
    mirror,
    points_in_any_box,
    points_in_boxes,
    rescale,
    rotate,
    rotated_nms,
    with_direction,
)
from tests.core.boxes3d.boxes import corners_of, random_boxes


def cloud(count: int = 3000, seed: int = 5, span: float = 8.0) -> torch.Tensor:
    """(count, 4): places and an intensity."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(count, 4, generator=generator, dtype=torch.float64)
    points[:, :3] = points[:, :3] * span - 1
    return points


def test_corners() -> None:
    boxes = random_boxes(5)
    expected = torch.tensor([corners_of(box) for box in boxes.tolist()], dtype=torch.float64)
    torch.testing.assert_close(bev_corners(boxes), expected)
    whole = corners(boxes)
    torch.testing.assert_close(whole[:, 4:, 2] - whole[:, :4, 2], boxes[:, 5:6].expand(-1, 4))
    torch.testing.assert_close(whole.mean(dim=1), boxes[:, :3])


def slow_inside(points: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    table = torch.zeros(len(boxes), len(points), dtype=torch.bool)
    for i, (x, y, z, length, width, height, yaw) in enumerate(boxes.tolist()):
        for j, point in enumerate(points.tolist()):
            u = (point[0] - x) * math.cos(yaw) + (point[1] - y) * math.sin(yaw)
            v = (point[1] - y) * math.cos(yaw) - (point[0] - x) * math.sin(yaw)
            table[i, j] = abs(u) <= length / 2 and abs(v) <= width / 2 and abs(point[2] - z) <= height / 2
    return table


def test_points_in_boxes_equal_the_slow_way_for_any_chunk() -> None:
    points, boxes = cloud(300), random_boxes(7)
    expected = slow_inside(points, boxes)
    assert expected.any(dim=1).sum() > 3
    for chunk in (1, 1000, 1 << 22):
        assert torch.equal(points_in_boxes(points, boxes, chunk), expected)
    assert torch.equal(points_in_any_box(points, boxes), expected.any(dim=0))
    assert points_in_boxes(points[:0], boxes).shape == (7, 0) and points_in_boxes(points, boxes[:0]).shape == (0, 300)
    assert not points_in_any_box(points, boxes[:0]).any()


def test_surface_is_inside_and_enlarging_takes_more() -> None:
    box = torch.tensor([[0, 0, 0, 4, 2, 1.6, 0]])
    points = torch.tensor([[2, 1, 0.8], [2.01, 0, 0], [2.5, 1.25, 1.05], [2.51, 0, 0]])
    assert points_in_boxes(points, box)[0].tolist() == [True, False, False, False]
    assert points_in_boxes(points, enlarge(box, (1, 0.5, 0.5)))[0].tolist() == [True, True, True, False]
    assert enlarge(box, (-9, 0, 0))[0, 3] == 0
    with pytest.raises(ValueError, match='three numbers'):
        enlarge(box, (1, 2))


def test_nms_equals_the_slow_loop() -> None:
    boxes = random_boxes(60, span=8)
    generator = torch.Generator().manual_seed(1)
    scores, labels = torch.rand(60, generator=generator), torch.randint(0, 2, (60,), generator=generator)
    for own in (None, labels):
        kept: list[int] = []
        for index in scores.argsort(descending=True).tolist():
            rivals = [k for k in kept if own is None or own[k] == own[index]]
            if not rivals or bev_iou(boxes[[index]], boxes[rivals]).max() <= 0.2:
                kept.append(index)
        assert rotated_nms(boxes, scores, 0.2, own).tolist() == kept
    assert rotated_nms(boxes, scores, 0.2, limit=5).tolist()[0] == kept[0]
    assert rotated_nms(boxes[:0], scores[:0], 0.2).shape == (0,)


def test_coder_round_trip() -> None:
    boxes, anchors = random_boxes(20), random_boxes(20, seed=1)
    torch.testing.assert_close(decode_boxes(encode_boxes(boxes, anchors), anchors), boxes)
    assert decode_boxes(torch.full((1, 7), 1e9), anchors[:1].float()).isfinite().all()
    hand = encode_boxes(torch.tensor([[5.0, 0, 1, 8, 3, 2, 1]]), torch.tensor([[0.0, 0, 0, 4, 3, 2, 0]]))
    torch.testing.assert_close(hand, torch.tensor([[1, 0, 0.5, math.log(2), 0, 0, 1]]))


def test_yaw_loss_does_not_see_half_turns() -> None:
    target = torch.zeros(3, 7, dtype=torch.float64)
    pred = target.clone()
    pred[:, 6] = torch.tensor([0.0, math.pi, math.pi / 2])
    loss = box_offset_loss(pred, target)
    assert loss[:2].abs().max() < 1e-12 and loss[2, 6].item() == pytest.approx(1 - 1 / 18)
    pred = torch.randn(4, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: box_offset_loss(p, torch.zeros(4, 7, dtype=torch.float64)), pred)


def test_direction() -> None:
    yaw = torch.linspace(-7, 7, 200, dtype=torch.float64)
    kind = direction_class(yaw)
    assert direction_class(torch.tensor([0.0, 1.57, 3.1, -1.57])).tolist() == [0, 0, 1, 1]
    assert torch.equal(direction_class(yaw + math.pi), 1 - kind)
    torch.testing.assert_close(with_direction(yaw + math.pi, kind), limit_angle(yaw))


@pytest.mark.parametrize('change', [
    lambda p, b: mirror(p, b, 'x'), lambda p, b: mirror(p, b, 'y'), lambda p, b: rotate(p, b, 0.4),
    lambda p, b: rescale(p, b, 1.2)])  # fmt: skip
def test_points_stay_in_their_boxes(change: object) -> None:
    points, boxes = cloud(), random_boxes(6)
    before = points_in_boxes(points, boxes)
    moved, turned = change(points, boxes)  # type: ignore[operator]
    assert torch.equal(points_in_boxes(moved, turned), before) and before.any()
    assert torch.equal(moved[:, 3], points[:, 3])
    overlap = bev_iou(boxes, boxes)
    torch.testing.assert_close(bev_iou(turned, turned), overlap, atol=1e-9, rtol=0)
