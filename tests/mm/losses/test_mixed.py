"""MixedLoss: sums, names, switches, what it refuses, and real heads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

pytest.importorskip('mmseg.models')
pytest.importorskip('mmdet.models')

from mmdet.models.dense_heads import FCOSHead
from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
from mmdet.utils import register_all_modules
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmseg.models.decode_heads import FCNHead

from imbdense.core.stats import ClassCounts, PriorLedger
from imbdense.mm.hooks.class_count_hook import bind_losses
from imbdense.mm.losses.balanced_softmax import BalancedSoftmaxLoss
from imbdense.mm.losses.mixed import MixedLoss
from imbdense.mm.losses.per_class_dice import PerClassDiceLoss
from tests.mm.losses.test_host_heads import check_gradient, one_image, seg_samples

register_all_modules(init_default_scope=False)

BALANCED = {'type': 'imbdense.BalancedSoftmaxLoss'}
LADE = {'type': 'imbdense.LADELoss'}
DICE = {'type': 'imbdense.PerClassDiceLoss'}
COUNTS = ClassCounts(tuple('abcd'), pixels=[900, 90, 9, 1])


@pytest.fixture(autouse=True)
def segmentation_scope() -> Iterator[None]:
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def pixels() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(2, 4, 6, 6, generator=generator, requires_grad=True)
    return pred, torch.randint(0, 4, (2, 6, 6), generator=generator)


def test_it_is_the_weighted_sum_of_its_terms() -> None:
    pred, target = pixels()
    mixed = MixedLoss(losses=[BALANCED, DICE], weights=[1.0, 0.5], loss_weight=2.0)
    expected = 2 * (BalancedSoftmaxLoss()(pred, target) + 0.5 * PerClassDiceLoss()(pred, target))
    assert mixed(pred, target).item() == pytest.approx(expected.item(), rel=1e-6)
    equal = MixedLoss(losses=[DICE, DICE])
    assert equal(pred, target).item() == pytest.approx(2 * PerClassDiceLoss()(pred, target).item(), rel=1e-6)


def test_a_bare_name_is_that_of_the_scope_and_the_options_of_the_head_arrive() -> None:
    pred, target = pixels()
    target[0] = 7
    mixed = MixedLoss(losses=[{'type': 'CrossEntropyLoss', 'avg_non_ignore': True}, BALANCED])
    assert type(mixed.losses[0]).__module__.startswith('mmseg')
    weight = torch.rand(2, 6, 6)
    for options in ({'ignore_index': 7}, {'ignore_index': 7, 'weight': weight, 'reduction_override': 'sum'}):
        alone = [MixedLoss(losses=[config])(pred, target, **options) for config in (
            {'type': 'CrossEntropyLoss', 'avg_non_ignore': True}, BALANCED)]
        assert mixed(pred, target, **options).item() == pytest.approx(sum(alone).item(), rel=1e-6)


def test_each_counted_term_is_bound_once_and_switched() -> None:
    pred, target = pixels()
    head = torch.nn.ModuleDict({'loss': MixedLoss(losses=[BALANCED, LADE, DICE])})
    ledger = PriorLedger(COUNTS.classes, COUNTS.pixels)
    assert bind_losses(head, ledger, COUNTS) == ['loss.losses.0', 'loss.losses.1']
    assert [entry.source for entry in ledger.entries[1:]] == ['BalancedSoftmaxLoss']
    active = head['loss'](pred, target).item()
    head['loss'].set_rebalancing(False)
    plain = torch.nn.functional.cross_entropy(pred, target) + PerClassDiceLoss()(pred, target)
    assert head['loss'](pred, target).item() == pytest.approx(plain.item(), rel=1e-6) != active
    head['loss'].set_rebalancing(True)
    assert head['loss'](pred, target).item() == active


def test_state_of_the_terms() -> None:
    mixed = MixedLoss(losses=[BALANCED, DICE])
    mixed(*pixels())
    assert list(mixed.state_dict()) == ['losses.0.running.counts']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'losses': []}, 'at least one'),
        ({'losses': [DICE], 'weights': [1.0, 2.0]}, 'they hold 1 and 2'),
        ({'losses': [DICE], 'weights': [-1.0]}, 'weights'),
        ({'losses': [DICE], 'normalizer': 'valid'}, 'normalizer'),
        ({'losses': [DICE], 'loss_name': 'mixed'}, 'loss_name'),
        ({'losses': [BALANCED, {'type': 'imbdense.SigmoidFocalCBLoss'}]}, 'either sigmoid or softmax'),
        ({'losses': [BALANCED], 'use_sigmoid': True}, 'either sigmoid or softmax'),
        ({'losses': [{'type': 'mmdet.SeesawLoss', 'num_classes': 4}]}, 'SeesawLoss wants logit channels of its own'),
    ],
)
def test_what_it_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MixedLoss(**arguments)


def test_a_wrong_term_is_named_by_the_registry() -> None:
    with pytest.raises(KeyError, match='BalancedSoftmaxLoss'):
        MixedLoss(losses=[{'type': 'imbdense.BalancedSoftmaxLos'}])


def test_inside_a_decode_head() -> None:
    head = FCNHead(
        in_channels=3, channels=4, num_convs=1, num_classes=4, norm_cfg=None,
        loss_decode={'type': 'imbdense.MixedLoss', 'losses': [BALANCED, LADE, DICE], 'use_sigmoid': False},
    )
    losses = head.loss((torch.randn(2, 3, 8, 8),), seg_samples(), {})
    assert [name for name in losses if 'loss' in name] == ['loss_mixed']
    check_gradient(losses, head)


def test_inside_a_box_head_the_terms_still_know_the_background() -> None:
    with DefaultScope.overwrite_default_scope('mmdet'):
        head = Shared2FCBBoxHead(
            in_channels=2, roi_feat_size=2, fc_out_channels=8, num_classes=4,
            loss_cls={'type': 'imbdense.MixedLoss', 'losses': [BALANCED, {'type': 'CrossEntropyLoss'}]},
        )
    assert type(head.loss_cls.losses[1]).__module__.startswith('mmdet')
    score, box = head(torch.randn(30, 2, 2, 2))
    labels = torch.randint(0, 5, (30,), generator=torch.Generator().manual_seed(0))
    rois = torch.cat([torch.zeros(30, 1), torch.tensor([[0.0, 0.0, 10.0, 10.0]]).repeat(30, 1)], dim=1)
    check_gradient(head.loss(score, box, rois, labels, torch.ones(30), torch.zeros(30, 4), torch.ones(30, 4)), head)
    assert head.loss_cls.losses[0].running.counts.tolist() == torch.bincount(labels, minlength=5)[:4].tolist()


def test_inside_a_dense_head_and_with_the_channel_weights_of_a_query_head() -> None:
    terms = [
        {'type': 'imbdense.SigmoidFocalCBLoss'}, {'type': 'FocalLoss', 'use_sigmoid': True, 'loss_weight': 0.5}
    ]
    with DefaultScope.overwrite_default_scope('mmdet'):
        head = FCOSHead(
            num_classes=4, in_channels=3, stacked_convs=1, feat_channels=4, strides=[8, 16], norm_cfg=None,
            regress_ranges=((-1, 32), (32, 100000)),
            loss_cls=ConfigDict(type='imbdense.MixedLoss', use_sigmoid=True, losses=terms),
        )
    assert head.use_sigmoid_cls and head.cls_out_channels == 4
    features = (torch.randn(1, 3, 8, 8), torch.randn(1, 3, 4, 4))
    check_gradient(head.loss_by_feat(*head(features), *one_image()), head)
    query = MixedLoss(losses=[BALANCED, {**BALANCED, 'class_weight': [2.0] * 5}], class_weight=[1.0] * 4 + [0.1])
    assert [term.class_weight[-1] for term in query.losses] == pytest.approx([0.1, 2.0])
