"""The parts of the pillar detector: shapes, a slow encoder, empty clouds, losses without an object, decoding."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from imbdense.nn.pillars import BevAnchorHead, BevBackbone, PillarEncoder

EXTENT = (0.0, -2.0, 4.0, 2.0)


def cloud(count: int = 60, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(count, 4, generator=generator) * torch.tensor([5.0, 5, 2, 1])
    points[:, 1] -= 2.5
    return points


def head(**changes: object) -> BevAnchorHead:
    arguments = {'sizes': [(2.0, 1.0, 1.5), (0.6, 0.6, 1.7)], 'heights': [0.75, 0.85], 'positive': [0.5, 0.4],
                 'negative': [0.35, 0.25], **changes}
    return BevAnchorHead(8, EXTENT, **arguments)  # type: ignore[arg-type]


def focal(pred: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor, avg_factor: torch.Tensor) -> torch.Tensor:
    target = F.one_hot(labels, pred.shape[1] + 1)[:, :-1].to(pred.dtype)
    loss = F.binary_cross_entropy_with_logits(pred, target, reduction='none')
    return (loss * weight[:, None]).sum() / avg_factor


def test_encoder_equals_the_slow_way() -> None:
    torch.manual_seed(0)
    encoder = PillarEncoder(1, 5, EXTENT, 1.0).eval()
    points, sample = cloud(), torch.arange(60) % 2
    found = encoder(points, sample, 3)
    expected = torch.zeros(3, 5, 4, 4)
    for scene in range(3):
        for row in range(4):
            for column in range(4):
                x, y = float(column), row - 2.0
                own = points[(sample == scene) & (points[:, 0] >= x) & (points[:, 0] < x + 1) & (points[:, 1] >= y)
                             & (points[:, 1] < y + 1)]
                if len(own):
                    middle = torch.tensor([x + 0.5, y + 0.5])
                    rows = torch.cat([own, own[:, :2] - middle, own[:, :3] - own[:, :3].mean(dim=0)], dim=1)
                    expected[scene, :, row, column] = encoder.layers(rows).amax(dim=0)
    torch.testing.assert_close(found, expected)
    order = torch.randperm(60)
    torch.testing.assert_close(encoder(points[order], sample[order], 3), found)  # points have no order


@pytest.mark.parametrize('count', [0, 1])
def test_hardly_a_point(count: int) -> None:
    """Zeros, and a gradient that is zero rather than missing."""
    encoder = PillarEncoder(1, 5, EXTENT, 1.0)
    found = encoder(cloud()[:count], torch.zeros(count, dtype=torch.int64), 2)
    assert found.shape == (2, 5, 4, 4) and not found.any()
    found.sum().backward()
    assert all(weight.grad is not None and not weight.grad.any() for weight in encoder.parameters())


def test_errors() -> None:
    with pytest.raises(ValueError, match='whole number of pillars'):
        PillarEncoder(1, 5, EXTENT, 0.3)
    with pytest.raises(ValueError, match=r'\(N, 4\)'):
        PillarEncoder(1, 5, EXTENT, 1.0)(torch.zeros(3, 3), torch.zeros(3, dtype=torch.int64), 1)
    with pytest.raises(ValueError, match='one number per level'):
        BevBackbone(4, (8, 8), (1,), (2, 2))
    with pytest.raises(ValueError, match='one entry per class'):
        head(heights=[1.0])


@pytest.mark.parametrize(('strides', 'size'), [((1, 2), (9, 11)), ((2, 2), (5, 6))])
def test_backbone_shapes(strides: tuple[int, int], size: tuple[int, int]) -> None:
    backbone = BevBackbone(4, (6, 8), (1, 1), strides, 5)
    assert backbone(torch.rand(2, 4, 9, 11)).shape == (2, 10, *size) and backbone.out_channels == 10


def test_outputs_are_in_the_order_of_the_anchors() -> None:
    """A bias of one channel moves the anchors of that class and turn in every cell, and no others."""
    torch.manual_seed(0)
    made = head()
    made.predict.weight.data.zero_()
    made.predict.bias.data.view(4, 12)[2, 2] = 1.0  # class 1, along; offset x
    outputs = made(torch.rand(1, 8, 3, 5))
    moved = outputs.offsets[0, :, 0] == 1.0
    anchors = made.anchors(3, 5, torch.device('cpu'))
    assert moved.sum() == 15 and (anchors[moved, 3] == 0.6).all() and (anchors[moved, 6] == 0).all()
    assert made.anchor_labels(anchors)[moved].unique().tolist() == [1]
    assert outputs.scores.sigmoid().mean().item() == pytest.approx(0.01)


def test_loss_and_a_perfect_prediction() -> None:
    """Offsets that are right have no box loss; their fit is 1; what is left out has no gradient."""
    made = head()
    anchors = made.anchors(4, 4, torch.device('cpu'))
    box = anchors[(made.anchor_labels(anchors) == 0)][12:13].clone()
    targets = made.targets(anchors, [box], [torch.tensor([0])], [box[:0]])
    assert targets.positive.sum() >= 1 and (targets.labels == 2).any()
    x = torch.rand(1, 8, 4, 4, requires_grad=True)
    outputs = made(x)
    loss = made.loss(outputs, targets, anchors, focal, 1.0)
    assert set(loss) == {'loss_cls', 'loss_box', 'loss_direction', 'loss_fit'}
    sum(loss.values()).backward()
    assert x.grad is not None and x.grad.isfinite().all()
    exact = made.targets(anchors, [anchors[5:6]], [made.anchor_labels(anchors)[5:6]], [box[:0]])
    zero = type(outputs)(outputs.scores, torch.zeros_like(outputs.offsets), outputs.directions, outputs.fit)
    own = exact.labels.clone()
    own[0, :5], own[0, 6:] = -1, -1
    alone = type(exact)(own, exact.boxes, 2)
    assert made.loss(zero, alone, anchors, focal, 1.0)['loss_box'].item() == 0


def test_no_object_and_ignored_scene() -> None:
    made = head()
    anchors, none = made.anchors(4, 4, torch.device('cpu')), torch.zeros(0, 7)
    targets = made.targets(anchors, [none], [torch.zeros(0, dtype=torch.int64)], [none])
    outputs = made(torch.rand(1, 8, 4, 4))
    loss = made.loss(outputs, targets, anchors, focal, 1.0)
    assert loss['loss_box'] == loss['loss_direction'] == loss['loss_fit'] == 0 and loss['loss_cls'] > 0
    targets.labels.fill_(-1)
    loss = made.loss(outputs, targets, anchors, focal, 1.0)
    total = sum(loss.values())
    assert total == 0
    total.backward()
    assert made.predict.weight.grad is not None and not made.predict.weight.grad.any()


def test_proposals_are_the_best_with_their_heading() -> None:
    torch.manual_seed(1)
    made = head(fit_power=0.5)
    made.predict.weight.data.normal_(0, 0.5)
    outputs, anchors = made(torch.rand(2, 8, 4, 4)), made.anchors(4, 4, torch.device('cpu'))
    (boxes, scores), _ = made.proposals(outputs, anchors, 10)
    assert boxes.shape == (10, 7) and scores.shape == (10, 2)
    best = scores.amax(dim=1)
    assert torch.equal(best, best.sort(descending=True).values)
    expected = (outputs.scores[0].sigmoid() * outputs.fit[0].sigmoid()[:, None]).sqrt().amax()
    assert best[0].item() == pytest.approx(expected.item())
    assert (boxes[:, 6] >= -math.pi).all() and (boxes[:, 6] < math.pi).all()


def test_bf16_autocast() -> None:
    """Losses are computed in float32."""
    encoder, backbone, made = PillarEncoder(1, 8, EXTENT, 1.0), BevBackbone(8, (8,), (1,), (1,), 8), head()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        outputs = made(backbone(encoder(cloud(), torch.zeros(60, dtype=torch.int64), 1)))
    assert outputs.scores.dtype == torch.float32 and outputs.offsets.isfinite().all()
