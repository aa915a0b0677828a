"""Our losses inside the real heads of mmseg and mmdet: built from a config, called as the heads call them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip('mmseg.models')
pytest.importorskip('mmdet.models')

from mmdet.models.dense_heads import DETRHead, FCOSHead, RetinaHead
from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData, PixelData
from mmseg.models.decode_heads import FCNHead
from mmseg.structures import SegDataSample

register_all_modules(init_default_scope=False)


@pytest.fixture(autouse=True)
def detection_scope() -> Iterator[None]:
    """The heads build their parts in mmdet's scope, whatever scope an earlier test left."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


CLASSES = 4
COUNTS = [900.0, 90.0, 9.0, 1.0]
SOFTMAX = [
    {'type': 'imbdense.ReweightedCELoss', 'scheme': 'effective'},
    {'type': 'imbdense.LogitAdjustLoss', 'tau': 0.5},
    {'type': 'imbdense.BalancedSoftmaxLoss'},
    {'type': 'imbdense.SoftmaxFocalLoss', 'scheme': 'effective'},
    {'type': 'imbdense.LDAMLoss', 'scheme': 'effective'},
    {'type': 'imbdense.SoftmaxEQLLoss', 'threshold': 0.05},
    {'type': 'imbdense.CDTLoss'},
    {'type': 'imbdense.LabelAwareSmoothLoss'},
    {'type': 'imbdense.BalancedLogitVariationLoss'},
]
SIGMOID = [
    {'type': 'imbdense.ReweightedCELoss', 'use_sigmoid': True, 'focal_gamma': 2.0, 'focal_alpha': 0.25},
    {'type': 'imbdense.LogitAdjustLoss', 'use_sigmoid': True, 'focal_gamma': 2.0, 'focal_alpha': 0.25},
    {'type': 'imbdense.SigmoidFocalCBLoss', 'use_sigmoid': True, 'focal_gamma': 2.0},
]
COUNTED = [{}, {'class_counts': COUNTS}]
softmax = pytest.mark.parametrize('loss', SOFTMAX, ids=lambda item: item['type'].split('.')[1])
sigmoid = pytest.mark.parametrize('loss', SIGMOID, ids=lambda item: item['type'].split('.')[1])
counted = pytest.mark.parametrize('counts', COUNTED, ids=['running', 'counts'])


def total(losses: dict[str, Any]) -> torch.Tensor:
    """Sum what mmengine's parse_losses would optimise."""
    terms = []
    for name, value in losses.items():
        if 'loss' in name:
            terms += [item.mean() for item in value] if isinstance(value, list) else [value.mean()]
    return sum(terms)


def check_gradient(losses: dict[str, Any], *heads: torch.nn.Module) -> None:
    value = total(losses)
    assert torch.isfinite(value)
    value.backward()
    gradients = [p.grad for head in heads for p in head.parameters() if p.grad is not None]
    assert gradients and all(torch.isfinite(gradient).all() for gradient in gradients)


def seg_samples() -> list[SegDataSample]:
    generator = torch.Generator().manual_seed(0)
    samples = []
    for _ in range(2):
        label = torch.randint(0, CLASSES, (1, 16, 16), generator=generator)
        label[0, :4] = 255
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=label)))
    return samples


def fcn(loss: Any, **options: Any) -> FCNHead:
    return FCNHead(
        in_channels=3, channels=4, num_convs=1, num_classes=CLASSES, norm_cfg=None, loss_decode=loss, **options
    )


@counted
@softmax
def test_mmseg_decode_head(loss: dict[str, Any], counts: dict[str, Any]) -> None:
    head = fcn({**loss, **counts})
    losses = head.loss((torch.randn(2, 3, 8, 8),), seg_samples(), {})
    assert [name for name in losses if 'loss' in name] == [head.loss_decode.loss_name]
    check_gradient(losses, head)


def test_mmseg_head_with_several_losses_and_an_ohem_sampler() -> None:
    with DefaultScope.overwrite_default_scope('mmseg'):
        head = fcn(
            [{'type': 'imbdense.BalancedSoftmaxLoss'}, {'type': 'imbdense.PerClassDiceLoss', 'loss_weight': 0.5}],
            sampler={'type': 'OHEMPixelSampler', 'thresh': 0.9, 'min_kept': 50},
        )
    losses = head.loss((torch.randn(2, 3, 8, 8),), seg_samples(), {})
    assert {'loss_ce_balanced', 'loss_dice'} <= set(losses)
    check_gradient(losses, head)


def test_margins_on_a_cosine_head() -> None:
    base = {
        'type': 'mmseg.FCNHead', 'in_channels': 3, 'channels': 4, 'num_convs': 1, 'num_classes': CLASSES,
        'norm_cfg': None, 'loss_decode': {'type': 'imbdense.LDAMLoss', 'class_counts': COUNTS},
    }
    head = MODELS.build({'type': 'imbdense.NormedSegHead', 'temperature': 1.0, 'base': base})
    assert head((torch.randn(2, 3, 8, 8),)).abs().max() <= 1 + 1e-6
    check_gradient(head.loss((torch.randn(2, 3, 8, 8),), seg_samples(), {}), head)


def test_changing_the_type_alone_replaces_the_host_default() -> None:
    """mmseg's default is merged into: use_sigmoid=False and loss_weight=1.0 stay in the dict."""
    default = {'type': 'CrossEntropyLoss', 'use_sigmoid': False, 'loss_weight': 1.0}
    names = [item['type'] for item in SOFTMAX] + ['imbdense.PerClassDiceLoss', 'imbdense.LADELoss']
    for name in [*names, 'imbdense.InfluenceBalancedLoss']:
        fcn({**default, 'type': name})
    mask2former = {**default, 'reduction': 'mean', 'class_weight': [1.0] * CLASSES + [0.1]}
    fcn({**mask2former, 'type': 'imbdense.LogitAdjustLoss'})


@counted
@softmax
def test_roi_head_trains_and_predicts_with_the_background_last(loss: dict[str, Any], counts: dict[str, Any]) -> None:
    head = Shared2FCBBoxHead(
        in_channels=2, roi_feat_size=2, fc_out_channels=8, num_classes=CLASSES, loss_cls={**loss, **counts}
    )
    score, box = head(torch.randn(30, 2, 2, 2))
    assert score.shape[1] == CLASSES + 1
    labels = torch.randint(0, CLASSES + 1, (30,), generator=torch.Generator().manual_seed(0))
    rois = torch.cat([torch.zeros(30, 1), torch.tensor([[0.0, 0.0, 10.0, 10.0]]).repeat(30, 1)], dim=1)
    losses = head.loss(score, box, rois, labels, torch.ones(30), torch.zeros(30, 4), torch.ones(30, 4))
    check_gradient(losses, head)
    meta = {'img_shape': (32, 32), 'scale_factor': (1.0, 1.0)}
    found = head.predict_by_feat([rois], [score.detach()], [box.detach()], [meta])[0]
    assert torch.allclose(found.scores, F.softmax(score.detach(), -1))  # what is predicted is what was trained


def one_image(boxes: bool = True) -> tuple[list[InstanceData], list[dict[str, Any]]]:
    found = InstanceData()
    found.bboxes = torch.tensor([[2.0, 2, 30, 30], [40, 40, 62, 60]]) if boxes else torch.zeros(0, 4)
    found.labels = torch.tensor([0, 3]) if boxes else torch.zeros(0, dtype=torch.long)
    meta = {'img_shape': (64, 64), 'pad_shape': (64, 64), 'scale_factor': (1.0, 1.0), 'batch_input_shape': (64, 64)}
    return [found], [meta]


RETINA_TRAIN = ConfigDict(
    assigner={'type': 'MaxIoUAssigner', 'pos_iou_thr': 0.5, 'neg_iou_thr': 0.4, 'min_pos_iou': 0, 'ignore_iof_thr': -1},
    sampler={'type': 'PseudoSampler'}, allowed_border=-1, pos_weight=-1, debug=False,
)


@counted
@sigmoid
@pytest.mark.parametrize('boxes', [True, False], ids=['objects', 'empty image'])
def test_retinanet_head(loss: dict[str, Any], counts: dict[str, Any], boxes: bool) -> None:
    anchors = {
        'type': 'AnchorGenerator', 'octave_base_scale': 4, 'scales_per_octave': 1, 'ratios': [1.0], 'strides': [8, 16]
    }
    head = RetinaHead(
        num_classes=CLASSES, in_channels=3, stacked_convs=1, feat_channels=4, anchor_generator=anchors,
        loss_cls={**loss, **counts}, train_cfg=RETINA_TRAIN,
    )
    assert head.cls_out_channels == CLASSES
    features = (torch.randn(1, 3, 8, 8), torch.randn(1, 3, 4, 4))
    instances, metas = one_image(boxes)
    check_gradient(head.loss_by_feat(*head(features), instances, metas), head)


@counted
@sigmoid
def test_fcos_head(loss: dict[str, Any], counts: dict[str, Any]) -> None:
    head = FCOSHead(
        num_classes=CLASSES, in_channels=3, stacked_convs=1, feat_channels=4, strides=[8, 16],
        regress_ranges=((-1, 32), (32, 100000)), norm_cfg=None, loss_cls={**loss, **counts},
    )
    features = (torch.randn(1, 3, 8, 8), torch.randn(1, 3, 4, 4))
    check_gradient(head.loss_by_feat(*head(features), *one_image()), head)


def test_retinanet_with_tau_zero_is_the_focal_loss_of_the_host() -> None:
    anchors = {
        'type': 'AnchorGenerator', 'octave_base_scale': 4, 'scales_per_octave': 1, 'ratios': [1.0], 'strides': [8, 16]
    }
    values = []
    for loss in (
        {'type': 'FocalLoss', 'use_sigmoid': True, 'gamma': 2.0, 'alpha': 0.25},
        {**SIGMOID[1], 'tau': 0.0, 'class_counts': COUNTS},
    ):
        torch.manual_seed(0)
        head = RetinaHead(
            num_classes=CLASSES, in_channels=3, stacked_convs=1, feat_channels=4, anchor_generator=anchors,
            loss_cls=loss, train_cfg=RETINA_TRAIN,
        )
        features = (torch.ones(1, 3, 8, 8), torch.ones(1, 3, 4, 4))
        values.append(sum(head.loss_by_feat(*head(features), *one_image())['loss_cls']).item())
    assert values[1] == pytest.approx(values[0], rel=1e-5)


@counted
@pytest.mark.parametrize('loss', SOFTMAX + SIGMOID, ids=lambda item: f'{item["type"]}-{item.get("use_sigmoid", False)}')
def test_detr_head(loss: dict[str, Any], counts: dict[str, Any]) -> None:
    config = {**copy.deepcopy(loss), **counts}
    if not loss.get('use_sigmoid'):
        config.update(class_weight=1.0, bg_cls_weight=0.1)  # DETRHead turns them into one weight per channel
    cost = {'type': 'BBoxL1Cost', 'weight': 5.0, 'box_format': 'xywh'}
    assigner = {'type': 'HungarianAssigner', 'match_costs': [cost]}
    head = DETRHead(
        num_classes=CLASSES, embed_dims=8, loss_cls=ConfigDict(config), train_cfg=ConfigDict(assigner=assigner)
    )
    assert head.cls_out_channels == CLASSES + int(not loss.get('use_sigmoid'))
    scores, boxes = head(torch.randn(2, 1, 10, 8))
    check_gradient(head.loss_by_feat(scores, boxes, *one_image()), head)
    if not loss.get('use_sigmoid'):
        assert head.loss_cls.class_weight == pytest.approx([1.0] * CLASSES + [0.1])


@counted
@softmax
def test_mask2former_reads_class_weight_from_the_config(loss: dict[str, Any], counts: dict[str, Any]) -> None:
    """The head divides by class_weight[labels].sum(); so does F.cross_entropy."""
    config = ConfigDict(**loss, **counts, class_weight=[1.0] * CLASSES + [0.1])
    module = MODELS.build(config)
    scores = torch.randn(20, CLASSES + 1, requires_grad=True)
    labels = torch.randint(0, CLASSES + 1, (20,))
    weights = scores.new_tensor(config.class_weight)
    value = module(scores, labels, torch.ones(20), avg_factor=weights[labels].sum())
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(scores.grad).all()


# Traps of the hosts, and ours beside them ----------------------------------------------------------------------------


def test_trap_1_class_weight_with_avg_non_ignore_crashes_in_the_host_and_not_here() -> None:
    from mmseg.models.losses import CrossEntropyLoss

    from imbdense.mm.losses.reweighted_ce import ReweightedCELoss

    pred, target = torch.randn(2, CLASSES, 8, 8), seg_samples()[0].gt_sem_seg.data.repeat(2, 1, 1)[:, :8, :8]
    with pytest.raises(IndexError):
        CrossEntropyLoss(class_weight=[1.0] * CLASSES, avg_non_ignore=True)(pred, target, ignore_index=255)
    ours = ReweightedCELoss(class_counts=[5.0] * CLASSES)(pred, target, ignore_index=255)
    assert ours.item() == pytest.approx(F.cross_entropy(pred, target, ignore_index=255).item(), rel=1e-5)


def test_trap_1_the_two_branches_of_the_host_divide_differently_ours_by_one_named_rule() -> None:
    from mmseg.models.losses import CrossEntropyLoss

    from imbdense.mm.losses.reweighted_ce import ReweightedCELoss

    pred, target = torch.randn(2, CLASSES, 8, 8), torch.zeros(2, 8, 8, dtype=torch.long)
    target[:, :4] = 255
    plain = CrossEntropyLoss()(pred, target, ignore_index=255).item()
    weighted = CrossEntropyLoss(class_weight=[1.0] * CLASSES)(pred, target, ignore_index=255).item()
    assert weighted == pytest.approx(2 * plain, rel=1e-4)  # half of the pixels are ignored: all against valid ones
    ours = {
        name: ReweightedCELoss(class_counts=[5.0] * CLASSES, normalizer=name)(pred, target, ignore_index=255).item()
        for name in ('weight_sum', 'valid', 'all')
    }
    assert ours['weight_sum'] == pytest.approx(weighted, rel=1e-4) == ours['valid']
    assert ours['all'] == pytest.approx(plain, rel=1e-4)


def test_trap_2_index_targets_with_focusing_run_on_the_cpu() -> None:
    from mmseg.models.losses import FocalLoss

    from imbdense.mm.losses.logit_adjust import LogitAdjustLoss

    pred, target = torch.randn(2, CLASSES, 8, 8, requires_grad=True), torch.randint(0, CLASSES, (2, 8, 8))
    with pytest.raises((AssertionError, RuntimeError, IndexError, ValueError)):
        FocalLoss()(pred, target)
    value = LogitAdjustLoss(use_sigmoid=True, focal_gamma=2.0, class_counts=COUNTS)(pred, target)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(pred.grad).all()


def test_trap_7_class_weights_need_not_change_the_learning_rate() -> None:
    """Two-stage heads divide by the number of boxes. Our weights have mean one over the objects."""
    from mmdet.models.losses import CrossEntropyLoss

    from imbdense.mm.losses.reweighted_ce import ReweightedCELoss

    counts = torch.tensor(COUNTS)
    labels = torch.cat([torch.repeat_interleave(torch.arange(CLASSES), counts.long()), torch.full((3000,), CLASSES)])
    pred, weights = torch.zeros(4000, CLASSES + 1), counts.min() / counts
    host = CrossEntropyLoss(class_weight=[*weights.tolist(), 1.0])(pred, labels, avg_factor=4000)
    plain = CrossEntropyLoss()(pred, labels, avg_factor=4000)
    ours = ReweightedCELoss(class_counts=counts.tolist())(pred, labels, avg_factor=4000)
    assert host.item() < 0.8 * plain.item()  # the objects nearly vanish against the background
    assert ours.item() == pytest.approx(plain.item(), rel=1e-3)
