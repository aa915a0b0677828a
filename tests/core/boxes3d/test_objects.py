"""Random object scaling, pasting, the examined scene, anchors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from imbdense.core.boxes3d import (
    anchor_grid,
    assign_anchors,
    bev_iou,
    draw_scale,
    enlarge,
    examination_scene,
    free_of_collision,
    iou_3d,
    paste_objects,
    points_in_any_box,
    points_in_boxes,
    random_object_scaling,
    scale_box,
)
from imbdense.core.pseudo_label import accept, overlapped_box_count
from tests.core.boxes3d.test_geometry import cloud

CARS = torch.tensor([[0.0, 0, 0.8, 4, 2, 1.6, 0.3], [10, 0, 0.8, 4, 2, 1.6, 1.2]], dtype=torch.float64)


def filled(boxes: torch.Tensor, count: int = 50) -> torch.Tensor:
    """Points inside the boxes, and some on the ground between them."""
    generator = torch.Generator().manual_seed(0)
    rows = [torch.rand(200, 4, generator=generator, dtype=torch.float64) * 30 - 10]
    rows[0][:, 2] = -0.1
    for box in boxes:
        own = torch.rand(count, 4, generator=generator, dtype=torch.float64) - 0.5
        local = own[:, :3] * box[3:6]
        cosine, sine = math.cos(box[6]), math.sin(box[6])
        own[:, 0] = box[0] + local[:, 0] * cosine - local[:, 1] * sine
        own[:, 1] = box[1] + local[:, 0] * sine + local[:, 1] * cosine
        own[:, 2] = box[2] + local[:, 2]
        rows.append(own)
    return torch.cat(rows)


def test_scaled_objects_stand_and_keep_their_points() -> None:
    points = filled(CARS)
    before = points_in_boxes(points, CARS)
    moved, scaled, factors = random_object_scaling(points, CARS, [(0.7, 0.7), (1.2, 1.2)], np.random.default_rng(0))
    assert factors.tolist() == pytest.approx([0.7, 1.2])
    torch.testing.assert_close(scaled[:, 3:6], CARS[:, 3:6] * factors[:, None])
    torch.testing.assert_close(scaled[:, 2] - scaled[:, 5] / 2, CARS[:, 2] - CARS[:, 5] / 2)
    assert torch.equal(scaled[:, [0, 1, 6]], CARS[:, [0, 1, 6]])
    assert torch.equal(points_in_boxes(moved, enlarge(scaled, (1e-9,) * 3)) & before, before)
    assert torch.equal(moved[~before.any(dim=0)], points[~before.any(dim=0)]) and torch.equal(moved[:, 3], points[:, 3])


def test_a_grown_object_covers_no_background() -> None:
    """As released: what lay just outside is deleted where the box grows over it, and stays where it shrinks."""
    beside = torch.tensor([[2.1, 0, 0.8, 7.0], [3.0, 0, 0.8, 8.0]], dtype=torch.float64)
    box = torch.tensor([[0.0, 0, 0.8, 4, 2, 1.6, 0]], dtype=torch.float64)
    points = torch.cat([filled(box), beside])
    for factor, outside in ((1.2, [8.0]), (0.9, [7.0, 8.0])):
        moved, _, _ = random_object_scaling(points, box, [(factor, factor)], np.random.default_rng(0))
        assert moved[250:, 3].tolist() == outside and torch.equal(moved[:250, 3], points[:250, 3])


def test_first_factor_without_collision() -> None:
    """A neighbour 1 cm beside: growing hits it, shrinking does not."""
    neighbour = CARS[:1].clone()
    neighbour[0, 6], own = 0.0, CARS[0].clone()
    own[6], neighbour[0, 0] = 0.0, 4.01
    rng = np.random.default_rng(0)
    factors = np.random.default_rng(0).uniform(0.9, 1.1, 50)
    expected = next(f for f in factors if 2 * f + 2 <= 4.01)
    assert draw_scale(own, neighbour, 0.9, 1.1, rng) == pytest.approx(expected)
    assert draw_scale(own, neighbour, 1.05, 1.1, rng) == 1.0  # each of them hits
    assert draw_scale(own, neighbour[:0], 1.05, 1.1, rng) > 1.0
    assert scale_box(own, 2.0).tolist() == [0, 0, 1.6, 8, 4, 3.2, 0]
    with pytest.raises(ValueError, match='lowest <= highest'):
        random_object_scaling(cloud(), CARS, [(1.1, 0.9), (1, 1)], rng)


def test_paste_replaces_what_was_there() -> None:
    scene = filled(CARS[:1])
    new = torch.tensor([[0.5, 0, 0.8, 4, 2, 1.6, 0], [10, 5, 0.8, 4, 2, 1.6, 0], [11, 5, 0.8, 4, 2, 1.6, 0]]).double()
    objects = [filled(new[i : i + 1])[200:] for i in range(3)]
    assert free_of_collision(new, CARS[:1]).tolist() == [False, True, False]  # the last hits the second
    points, boxes, chosen = paste_objects(scene, CARS[:1], new, objects)
    assert chosen.tolist() == [1] and torch.equal(boxes, new[1:2])
    assert int(points_in_any_box(points, new[1:2]).sum()) == 50
    assert len(points) == len(scene) - int(points_in_any_box(scene, new[1:2]).sum()) + 50
    same, none, _ = paste_objects(scene, CARS[:1], new[:0], [])
    assert torch.equal(same, scene) and none.shape == (0, 7)
    with pytest.raises(ValueError, match='numbers per point'):
        paste_objects(scene, CARS[:1], new[:1], [objects[0][:, :3]])


def test_paste_on_the_ground_of_the_scene() -> None:
    scene = filled(CARS[:1])  # ground at -0.1
    high = torch.tensor([[10.0, 5, 2.0, 4, 2, 1.6, 0]], dtype=torch.float64)
    own = filled(high)[200:]
    points, boxes, _ = paste_objects(scene, CARS[:1], high, [own], on_ground=True)
    assert boxes[0, 2].item() == pytest.approx(-0.1 + 0.8)
    torch.testing.assert_close(points[-50:, 2], own[:, 2] + boxes[0, 2] - 2.0)


def test_examined_scene() -> None:
    """Objects of the host and what lies at the places of the pseudo-objects go; cut points come where they were."""
    target, host = filled(CARS), filled(CARS + torch.tensor([1.0, 20, 0, 0, 0, 0, 0]), count=30)
    host_boxes = CARS + torch.tensor([1.0, 20, 0, 0, 0, 0, 0])
    scene = examination_scene(target, CARS, host, host_boxes)
    places = enlarge(CARS, (1, 0.5, 0.5))
    cut = target[points_in_any_box(target, places)]
    assert torch.equal(scene[-len(cut) :], cut) and int(points_in_any_box(scene, places).sum()) == len(cut)
    assert not points_in_any_box(scene, host_boxes).any()
    assert len(examination_scene(target, CARS[:0], host, host_boxes)) == len(host) - int(
        points_in_any_box(host, enlarge(host_boxes, (1, 0.5, 0.5))).sum()
    )
    with pytest.raises(ValueError, match='same attributes'):
        examination_scene(target, CARS, host[:, :3], host_boxes)


def test_worked_example_of_the_examination() -> None:
    """Moved by 0.5 m a detection confirms at .5 and .7, by 1 m at .5 alone; the functions are those of the 2-D side."""
    pseudo = CARS[:1].clone()
    pseudo[0, 6] = 0
    for shift, thresholds in ((0.5, (0.5, 0.7)), (1.0, (0.5,))):
        found = pseudo.clone()
        found[0, 0] += shift
        for threshold in (0.5, 0.7):
            accepted = accept(iou_3d(found, pseudo), threshold, class_aware=False, unique=False)
            assert accepted.tolist() == [threshold in thresholds]
    assert accept(iou_3d(pseudo[:0], pseudo), 0.5, class_aware=False).tolist() == [False]


def test_overlapped_boxes_count_from_above() -> None:
    proposals = CARS[[0, 0, 0, 1]].clone()
    proposals[:3, 0] += torch.tensor([0.0, 0.5, 3.5], dtype=torch.float64)
    proposals = torch.cat([proposals, torch.zeros(5, 7, dtype=torch.float64)])
    assert overlapped_box_count(CARS, proposals, torch.arange(9) / 9.0, iou=bev_iou).tolist() == [2, 1]


def test_anchors() -> None:
    anchors = anchor_grid((0, -4, 8, 4), 4, 4, [(4, 2, 1.6), (1, 1, 2)], [0.8, 1.0])
    assert anchors.shape == (4, 4, 2, 2, 7)
    assert anchors[0, 0, 0, 0].tolist() == pytest.approx([1, -3, 0.8, 4, 2, 1.6, 0])
    assert anchors[3, 1, 1, 1].tolist() == pytest.approx([3, 3, 1.0, 1, 1, 2, math.pi / 2])


def test_assignment() -> None:
    """Positive above, left out between, background below; the best anchor in any case; ignored boxes leave out."""
    anchors = torch.tensor([[x, 0.0, 0, 4, 2, 1.6, 0] for x in (0, 1, 1.6, 3, 20, 30)])
    kinds, limits = torch.zeros(6, dtype=torch.int64), (torch.tensor([0.6]), torch.tensor([0.4]))
    boxes, labels = torch.tensor([[0.0, 0, 0, 4, 2, 1.6, 0]]), torch.tensor([0])
    found = assign_anchors(anchors, kinds, boxes, labels, boxes[:0], 1, *limits)
    assert found.labels.tolist() == [0, 0, -1, 1, 1, 1]  # IoU 1, .6, .43, .14, 0
    assert found.matched.tolist() == [0, 0, -1, -1, -1, -1]
    far = torch.tensor([[33.0, 0, 0, 4, 2, 1.6, 0]])
    found = assign_anchors(anchors, kinds, far, labels, boxes, 1, *limits)
    assert found.labels.tolist() == [-1, -1, -1, 1, 1, 0]  # forced; ignored
    found = assign_anchors(anchors, kinds, boxes[:0], labels[:0], boxes[:0], 1, *limits)
    assert found.labels.tolist() == [1] * 6 and found.matched.tolist() == [-1] * 6
    other = assign_anchors(anchors, kinds, boxes, labels + 1, boxes[:0], 2, *limits)
    assert (other.matched == -1).all()  # a box of another class
