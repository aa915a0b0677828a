"""The losses with scores of their own inside real heads: one training step, and what is predicted."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip('mmseg.models')
pytest.importorskip('mmdet.models')

from mmdet.models.dense_heads import ATSSHead, DETRHead, FCOSHead, RetinaHead
from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope

from tests.mm.losses.test_host_heads import (
    CLASSES,
    COUNTS,
    RETINA_TRAIN,
    check_gradient,
    fcn,
    one_image,
    seg_samples,
)

register_all_modules(init_default_scope=False)


@pytest.fixture(autouse=True)
def detection_scope() -> Iterator[None]:
    """The heads build their parts in mmdet's scope, whatever scope an earlier test left."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


NAMES = ['SyncedSeesawLoss', 'EQLv2Loss', 'EffectiveClassMarginLoss', 'EBLLoss', 'ForegroundClassBalanceLoss',
         'FederatedLoss', 'BalancedGroupSoftmaxLoss']  # fmt: skip
SIGMOID = ['SyncedSeesawLoss', 'EQLv2Loss', 'EffectiveClassMarginLoss', 'ForegroundClassBalanceLoss', 'FederatedLoss']
SOFTMAX = ['SyncedSeesawLoss', 'EBLLoss']
ANCHORS = {
    'type': 'AnchorGenerator', 'octave_base_scale': 4, 'scales_per_octave': 2, 'ratios': [1.0], 'strides': [8, 16]
}
KEEP_ALL = ConfigDict(nms_pre=-1, score_thr=0.0, nms={'type': 'nms', 'iou_threshold': 1.0}, max_per_img=-1)


def config(name: str, **options: Any) -> dict[str, Any]:
    """Config of a loss; the one that needs counts gets some."""
    counts = {'class_counts': COUNTS} if name == 'BalancedGroupSoftmaxLoss' else {}
    return {'type': f'imbdense.{name}', **counts, **options}


def box_head(loss: dict[str, Any]) -> Shared2FCBBoxHead:
    return Shared2FCBBoxHead(
        in_channels=2, roi_feat_size=2, fc_out_channels=8, num_classes=CLASSES, loss_cls=copy.deepcopy(loss)
    )


def regions(count: int = 30) -> torch.Tensor:
    return torch.cat([torch.zeros(count, 1), torch.tensor([[0.0, 0.0, 10.0, 10.0]]).repeat(count, 1)], dim=1)


def box_losses(head: Shared2FCBBoxHead, score: torch.Tensor, box: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
    return head.loss(score, box, regions(), labels, torch.ones(30), torch.zeros(30, 4), torch.ones(30, 4))


@pytest.mark.parametrize('name', NAMES)
def test_box_head_predicts_what_was_trained(name: str) -> None:
    torch.manual_seed(0)
    head = box_head(config(name))
    score, box = head(torch.randn(30, 2, 2, 2))
    labels = torch.randint(0, CLASSES + 1, (30,), generator=torch.Generator().manual_seed(0))
    losses = box_losses(head, score, box, labels)
    assert [key for key in losses if 'loss' in key] == ['loss_cls', 'loss_bbox']
    assert any(key.startswith('acc') for key in losses)
    check_gradient(losses, head)
    meta = {'img_shape': (32, 32), 'scale_factor': (1.0, 1.0)}
    found = head.predict_by_feat([regions()], [score.detach()], [box.detach()], [meta])[0]
    assert torch.allclose(found.scores, head.loss_cls.get_activation(score.detach()))
    assert found.scores.shape == (30, CLASSES + 1)


@pytest.mark.parametrize('name', NAMES)
def test_box_head_without_any_object(name: str) -> None:
    """The same keys as with objects, or the other ranks would wait."""
    head = box_head(config(name))
    score, box = head(torch.randn(30, 2, 2, 2))
    losses = box_losses(head, score, box, torch.full((30,), CLASSES))
    assert [key for key in losses if 'loss' in key] == ['loss_cls', 'loss_bbox']
    check_gradient(losses, head)


def test_mmdets_eqlv2_predicts_something_else_than_it_trained() -> None:
    """The trap: sigmoids are trained, the head predicts their softmax, get_activation is never called."""
    torch.manual_seed(0)
    head = box_head({'type': 'EQLV2Loss', 'num_classes': CLASSES})
    score, box = head(torch.randn(30, 2, 2, 2))
    meta = {'img_shape': (32, 32), 'scale_factor': (1.0, 1.0)}
    found = head.predict_by_feat([regions()], [score.detach()], [box.detach()], [meta])[0]
    assert not torch.allclose(found.scores, head.loss_cls.get_activation(score.detach()))
    assert torch.allclose(found.scores, F.softmax(score.detach(), -1))


def test_cascade_stages_choose_the_class_by_our_scores() -> None:
    head = box_head(config('SyncedSeesawLoss'))
    score, box = head(torch.randn(30, 2, 2, 2))
    assert head.custom_activation and head.loss_cls.get_activation(score)[:, :-1].argmax(1).max() < CLASSES
    labels = torch.full((30,), CLASSES)
    results = {'rois': regions(), 'bbox_pred': box, 'cls_score': score, 'bbox_targets': (labels, None, None, None)}

    class Sampled:
        pos_is_gt = torch.zeros(0, dtype=torch.uint8)

    refined = head.refine_bboxes([Sampled()], results, [{'img_shape': (32, 32)}])
    assert refined[0].bboxes.shape == (30, 4)


def retina(loss: dict[str, Any]) -> RetinaHead:
    return RetinaHead(
        num_classes=CLASSES, in_channels=3, stacked_convs=1, feat_channels=4, anchor_generator=ANCHORS,
        loss_cls=copy.deepcopy(loss), train_cfg=RETINA_TRAIN, test_cfg=KEEP_ALL,
    )


def fcos(loss: dict[str, Any]) -> FCOSHead:
    return FCOSHead(
        num_classes=CLASSES, in_channels=3, stacked_convs=1, feat_channels=4, strides=[8, 16],
        regress_ranges=((-1, 32), (32, 100000)), norm_cfg=None, loss_cls=copy.deepcopy(loss), test_cfg=KEEP_ALL,
    )


def atss(loss: dict[str, Any]) -> ATSSHead:
    train = ConfigDict(assigner={'type': 'ATSSAssigner', 'topk': 9}, allowed_border=-1, pos_weight=-1, debug=False)
    anchors = {**ANCHORS, 'scales_per_octave': 1}
    return ATSSHead(
        num_classes=CLASSES, in_channels=3, stacked_convs=1, feat_channels=4, norm_cfg={'type': 'GN', 'num_groups': 2},
        anchor_generator=anchors, loss_cls=copy.deepcopy(loss), train_cfg=train, test_cfg=KEEP_ALL,
        reg_decoded_bbox=True, loss_bbox={'type': 'GIoULoss', 'loss_weight': 2.0},
        loss_centerness={'type': 'CrossEntropyLoss', 'use_sigmoid': True, 'loss_weight': 1.0},
    )


DENSE = {'retina': retina, 'fcos': fcos, 'atss': atss}
FEATURES = (torch.randn(1, 3, 8, 8), torch.randn(1, 3, 4, 4))


@pytest.mark.parametrize('make', DENSE.values(), ids=DENSE.keys())
@pytest.mark.parametrize('boxes', [True, False], ids=['objects', 'empty image'])
@pytest.mark.parametrize('name', SIGMOID)
def test_dense_head_with_sigmoids(make: Any, boxes: bool, name: str) -> None:
    head = make(config(name, use_sigmoid=True))
    assert head.cls_out_channels == CLASSES
    instances, metas = one_image(boxes)
    check_gradient(head.loss_by_feat(*head(FEATURES), instances, metas), head)
    assert_predictions(head, metas, lambda z: z.sigmoid())


@pytest.mark.parametrize('name', ['SyncedSeesawLoss', 'EQLv2Loss', 'EffectiveClassMarginLoss', 'EBLLoss'])
def test_dense_head_with_a_background_channel(name: str) -> None:
    """Without use_sigmoid the head makes C + 1 channels per anchor; the background is never predicted."""
    head = retina(config(name))
    assert head.cls_out_channels == CLASSES + 1
    check_gradient(head.loss_by_feat(*head(FEATURES), *one_image()), head)
    if name in ('SyncedSeesawLoss', 'EBLLoss'):
        assert_predictions(head, one_image()[1], lambda z: z.softmax(-1)[:, :-1])
    else:
        assert_predictions(head, one_image()[1], lambda z: z[:, :-1].sigmoid() * (1 - z[:, -1:].sigmoid()))


def assert_predictions(head: Any, metas: list[dict[str, Any]], activation: Any) -> None:
    """With every box kept, the best score of each class is that of the logits."""
    with torch.no_grad():
        outputs = head.eval()(FEATURES)
        found = head.predict_by_feat(*outputs, batch_img_metas=metas)[0]
    logits = torch.cat([z[0].permute(1, 2, 0).reshape(-1, head.cls_out_channels) for z in outputs[0]])
    scores = activation(logits)
    if len(outputs) == 3:
        centerness = torch.cat([c[0].permute(1, 2, 0).reshape(-1) for c in outputs[2]]).sigmoid()
        scores = scores * centerness[:, None]
    assert found.labels.max() < CLASSES
    for klass in range(CLASSES):
        best = found.scores[found.labels == klass].max()
        assert best.item() == pytest.approx(scores[:, klass].max().item(), rel=1e-5)


@pytest.mark.parametrize('name', [*SIGMOID, 'EBLLoss'])
def test_detr_head(name: str) -> None:
    loss = config(name, use_sigmoid=True) if name in SIGMOID else config(name, class_weight=1.0, bg_cls_weight=0.1)
    cost = {'type': 'BBoxL1Cost', 'weight': 5.0, 'box_format': 'xywh'}
    assigner = {'type': 'HungarianAssigner', 'match_costs': [cost]}
    head = DETRHead(
        num_classes=CLASSES, embed_dims=8, loss_cls=ConfigDict(loss), train_cfg=ConfigDict(assigner=assigner)
    )
    scores, boxes = head(torch.randn(2, 1, 10, 8))
    check_gradient(head.loss_by_feat(scores, boxes, *one_image()), head)


def test_detr_head_with_seesaw_over_a_no_object_class() -> None:
    loss = ConfigDict(config('SyncedSeesawLoss', class_weight=1.0, bg_cls_weight=0.1))
    cost = {'type': 'BBoxL1Cost', 'weight': 5.0, 'box_format': 'xywh'}
    assigner = {'type': 'HungarianAssigner', 'match_costs': [cost]}
    head = DETRHead(num_classes=CLASSES, embed_dims=8, loss_cls=loss, train_cfg=ConfigDict(assigner=assigner))
    scores, boxes = head(torch.randn(2, 1, 10, 8))
    check_gradient(head.loss_by_feat(scores, boxes, *one_image()), head)
    assert head.loss_cls.running.counts.numel() == CLASSES
    assert head.loss_cls.class_weight == pytest.approx([1.0] * CLASSES + [0.1])


@pytest.mark.parametrize('name', sorted({*SIGMOID, *SOFTMAX}))
def test_decode_head(name: str) -> None:
    head = fcn(config(name))
    losses = head.loss((torch.randn(2, 3, 8, 8),), seg_samples(), {})
    assert [key for key in losses if 'loss' in key] == [head.loss_decode.loss_name]
    check_gradient(losses, head)
    found = head.predict((torch.randn(2, 3, 8, 8),), [{'img_shape': (16, 16)}] * 2, {})
    assert found.shape[1] == CLASSES


def test_losses_that_need_a_box_head_say_so_elsewhere() -> None:
    head = retina(config('BalancedGroupSoftmaxLoss'))
    with pytest.raises(ValueError, match='Only the box heads of two-stage detectors'):
        head.loss_by_feat(*head(FEATURES), *one_image())


def test_registered_beside_the_hosts_losses() -> None:
    for name in NAMES:
        assert type(MODELS.build(config(name))).__name__ == name
