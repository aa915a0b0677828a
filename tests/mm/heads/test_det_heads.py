"""Swapped classifiers in RoI, dense and query heads of mmdet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

pytest.importorskip('mmdet.models')

from mmdet.models.dense_heads import ATSSHead, DeformableDETRHead, RetinaHead
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from imbdense.nn.classifiers import CosineConv2d, CosineLinear, FixedFrameClassifier

register_all_modules(init_default_scope=False)

CLASSES = 4


@pytest.fixture(autouse=True)
def detection_scope() -> Iterator[None]:
    """Heads build their parts in the scope of the run."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def roi_head(predictor: dict[str, Any], **changes: Any) -> Any:
    torch.manual_seed(0)
    head = MODELS.build({
        'type': 'Shared2FCBBoxHead', 'in_channels': 2, 'roi_feat_size': 2, 'fc_out_channels': 8, 'num_classes': CLASSES,
        'cls_predictor_cfg': predictor, **changes,
    })  # fmt: skip
    head.init_weights()
    return head


def roi_loss(head: Any, rows: int = 30) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    score, box = head(torch.randn(rows, 2, 2, 2, generator=generator))
    labels = torch.randint(0, CLASSES + 1, (rows,), generator=generator)
    rois = torch.cat([torch.zeros(rows, 1), torch.tensor([[0.0, 0, 10, 10]]).repeat(rows, 1)], dim=1)
    weights = torch.ones(rows, 4)
    return head.loss(score, box, rois, labels, torch.ones(rows), torch.zeros(rows, 4), weights)


@pytest.mark.parametrize(
    ('predictor', 'loss'),
    [
        ({'type': 'imbdense.ETFLinear'}, {'type': 'CrossEntropyLoss'}),
        ({'type': 'imbdense.ETFLinear'}, {'type': 'imbdense.DotRegressionLoss', 'given_ew': True}),
        ({'type': 'imbdense.ETFLinear', 'frame': 'of', 'norm_cfg': {'type': 'LN'}},
         {'type': 'imbdense.DotRegressionLoss', 'frame': 'of'}),
        ({'type': 'imbdense.ETFLinear', 'frame': 'gof', 'class_counts': [90, 9, 3, 1, 500], 'gamma': 0.25},
         {'type': 'CrossEntropyLoss'}),
        ({'type': 'imbdense.CosineLinear', 'temperature': 10.0}, {'type': 'CrossEntropyLoss'}),
    ],
)  # fmt: skip
def test_roi_head_takes_the_layer_from_its_config(predictor: dict[str, Any], loss: dict[str, Any]) -> None:
    head = roi_head(predictor, loss_cls=loss)
    kind = CosineLinear if 'Cosine' in predictor['type'] else FixedFrameClassifier
    assert isinstance(head.fc_cls, kind) and head.fc_cls.out_features == CLASSES + 1  # background is one more vector
    losses = roi_loss(head)
    (losses['loss_cls'] + losses['loss_bbox']).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in head.fc_cls.parameters())
    fixed = [name for name in head.state_dict() if name.endswith('fc_cls.etf')]
    assert fixed == ([] if kind is CosineLinear else ['fc_cls.etf'])


@pytest.mark.parametrize('rows', [0, 1])
def test_batches_without_proposals(rows: int) -> None:
    head = roi_head({'type': 'imbdense.ETFLinear'}).train()
    value = head(torch.randn(rows, 2, 2, 2))[0]
    value.sum().backward()
    assert value.shape == (rows, CLASSES + 1) and torch.isfinite(value).all()


def test_roi_frame_is_fixed_and_resumed() -> None:
    head = roi_head({'type': 'imbdense.ETFLinear'})
    before = head.fc_cls.etf.clone()
    assert (head.fc_cls.norm.weight == 1).all()  # the host's N(0, 0.01) is undone
    optimizer = torch.optim.SGD(head.parameters(), 0.1, weight_decay=0.1)
    for _ in range(10):
        optimizer.zero_grad()
        roi_loss(head)['loss_cls'].backward()
        optimizer.step()
    other = roi_head({'type': 'imbdense.ETFLinear', 'seed': 3})
    other.load_state_dict(head.state_dict(), strict=True)
    assert torch.equal(head.fc_cls.etf, before) and torch.equal(other.fc_cls.etf, before)


def dense(name: str, **changes: Any) -> dict[str, Any]:
    anchors = {
        'type': 'AnchorGenerator', 'octave_base_scale': 4, 'scales_per_octave': 1, 'ratios': [1.0], 'strides': [8, 16]
    }
    return {'type': name, 'num_classes': CLASSES, 'in_channels': 8, 'stacked_convs': 1, 'feat_channels': 8,
            'anchor_generator': anchors, 'loss_cls': {'type': 'FocalLoss', 'use_sigmoid': True}, **changes}  # fmt: skip


def one_image() -> tuple[list[InstanceData], list[dict[str, Any]]]:
    found = InstanceData(bboxes=torch.tensor([[2.0, 2, 30, 30], [40, 40, 62, 60]]), labels=torch.tensor([0, 3]))
    meta = {'img_shape': (64, 64), 'pad_shape': (64, 64), 'scale_factor': (1.0, 1.0), 'batch_input_shape': (64, 64)}
    return [found], [meta]


TRAIN = {
    'RetinaHead': {'assigner': {'type': 'MaxIoUAssigner', 'pos_iou_thr': 0.5, 'neg_iou_thr': 0.4, 'min_pos_iou': 0}},
    'ATSSHead': {'assigner': {'type': 'ATSSAssigner', 'topk': 9}},
}


@pytest.mark.parametrize(('name', 'kind', 'attribute'), [
    ('RetinaHead', RetinaHead, 'retina_cls'), ('ATSSHead', ATSSHead, 'atss_cls'),
])  # fmt: skip
def test_dense_heads_keep_the_prior_of_the_foreground(name: str, kind: type, attribute: str) -> None:
    train = {**TRAIN[name], 'sampler': {'type': 'PseudoSampler'}, 'allowed_border': -1, 'pos_weight': -1}
    changes = {'norm_cfg': {'type': 'GN', 'num_groups': 2}, 'loss_bbox': {'type': 'GIoULoss'}}
    changes = changes if name == 'ATSSHead' else {}
    # The detectors add train_cfg and test_cfg to the config of their head.
    config = {'type': 'imbdense.NormedDetHead', 'base': dense(name, **changes), 'temperature': 2.0,
              'train_cfg': ConfigDict(train), 'test_cfg': ConfigDict()}  # fmt: skip
    head = MODELS.build(ConfigDict(config))
    head.init_weights()
    layer = getattr(head, attribute)
    assert type(head) is kind and isinstance(layer, CosineConv2d) and layer.kernel_size == (3, 3)
    features = (torch.randn(1, 8, 8, 8), torch.randn(1, 8, 4, 4))
    scores = torch.cat([item.sigmoid().flatten() for item in head(features)[0]])
    assert scores.mean().item() < 0.05
    losses = head.loss_by_feat(*head(features), *one_image())
    sum(sum(value) for key, value in losses.items() if 'loss' in key).backward()
    assert torch.isfinite(layer.weight.grad).all() and layer.weight.grad.abs().sum() > 0


@pytest.mark.parametrize('shared', [True, False])
def test_query_head_with_one_classifier_per_decoder_layer(shared: bool) -> None:
    base = {'type': 'DeformableDETRHead', 'num_classes': CLASSES, 'embed_dims': 16,
            'loss_cls': {'type': 'FocalLoss', 'use_sigmoid': True}}  # fmt: skip
    head = MODELS.build({'type': 'imbdense.NormedDetHead', 'base': base, 'temperature': 2.0,
                         'share_pred_layer': shared, 'num_pred_layer': 3, 'as_two_stage': False})  # fmt: skip
    head.init_weights()
    assert isinstance(head, DeformableDETRHead) and len(head.cls_branches) == 3
    assert (head.cls_branches[0] is head.cls_branches[1]) == shared
    for layer in head.cls_branches:
        assert isinstance(layer, CosineLinear) and layer(torch.randn(5, 16)).sigmoid().mean() < 0.2


def test_a_head_without_such_a_layer_is_named() -> None:
    with pytest.raises(ValueError, match='RetinaHead has no classifier called conv_seg'):
        MODELS.build({'type': 'imbdense.NormedDetHead', 'base': dense('RetinaHead'), 'classifier': 'conv_seg'})
    with pytest.raises(ValueError, match='ConvModule'):
        MODELS.build({'type': 'imbdense.NormedDetHead', 'base': dense('RetinaHead'), 'classifier': 'cls_convs'})
