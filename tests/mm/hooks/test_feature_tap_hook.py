"""FeatureTapHook: real heads hand their features to the loss, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip('mmseg.models')
pytest.importorskip('mmdet.models')

from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
from mmdet.utils import register_all_modules
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmseg.models.decode_heads import FCNHead

from imbdense.mm.hooks.feature_tap_hook import FeatureTapHook
from tests.mm.hooks.tiny_run import config, write_dataset
from tests.mm.losses.test_host_heads import check_gradient, seg_samples

register_all_modules(init_default_scope=False)

LOSS = {'type': 'imbdense.InfluenceBalancedLoss', 'class_counts': [900.0, 90.0, 9.0, 1.0], 'scheme': 'sqrt'}


def decode_head(loss: Any = LOSS) -> torch.nn.ModuleDict:
    with DefaultScope.overwrite_default_scope('mmseg'):
        head = FCNHead(
            in_channels=3, channels=4, num_convs=1, num_classes=4, norm_cfg=None, dropout_ratio=0, loss_decode=loss
        )
    return torch.nn.ModuleDict({'decode_head': head})


@pytest.mark.parametrize(
    'loss', [LOSS, [LOSS, {'type': 'imbdense.PerClassDiceLoss'}], {'type': 'imbdense.MixedLoss', 'losses': [LOSS]}],
    ids=['alone', 'in a list', 'in a mix'],
)
def test_decode_head(loss: Any) -> None:
    model, hook = decode_head(loss), FeatureTapHook()
    hook.attach(model)
    check_gradient(model['decode_head'].loss((torch.randn(2, 3, 8, 8),), seg_samples(), {}), model['decode_head'])


def test_the_loss_gets_the_norm_of_what_the_classifier_saw() -> None:
    model, hook, seen = decode_head(), FeatureTapHook(), []
    head = model['decode_head']
    head.conv_seg.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0].abs().sum(1)))
    hook.attach(model)
    head((torch.randn(2, 3, 8, 8),))
    assert torch.equal(head.loss_decode._feature_norm, seen[0].detach())
    assert not head.loss_decode._feature_norm.requires_grad


def test_box_head() -> None:
    with DefaultScope.overwrite_default_scope('mmdet'):
        head = Shared2FCBBoxHead(in_channels=2, roi_feat_size=2, fc_out_channels=8, num_classes=4, loss_cls=LOSS)
    model, hook = torch.nn.ModuleDict({'bbox_head': head}), FeatureTapHook()
    hook.attach(model)
    score, box = head(torch.randn(30, 2, 2, 2))
    rois = torch.cat([torch.zeros(30, 1), torch.tensor([[0.0, 0.0, 10.0, 10.0]]).repeat(30, 1)], dim=1)
    labels = torch.randint(0, 5, (30,), generator=torch.Generator().manual_seed(0))
    check_gradient(head.loss(score, box, rois, labels, torch.ones(30), torch.zeros(30, 4), torch.ones(30, 4)), head)


def test_silent_in_eval_mode_and_gone_after_training() -> None:
    model, hook = decode_head(), FeatureTapHook()
    hook.before_train(SimpleNamespace(model=model))
    head = model['decode_head']
    head.eval()((torch.randn(1, 3, 8, 8),))
    assert head.loss_decode._feature_norm is None
    assert len(head.conv_seg._forward_pre_hooks) == 1
    hook.after_train(SimpleNamespace(model=model))
    assert not head.conv_seg._forward_pre_hooks


def test_another_layer_and_a_head_without_one() -> None:
    model = decode_head()
    head = model['decode_head']
    head.my_classes, head.conv_seg = head.conv_seg, None
    with pytest.raises(ValueError, match=r'decode_head\.loss_decode.*conv_seg or fc_cls.*my_classes'):
        FeatureTapHook().attach(model)
    FeatureTapHook(layer='my_classes').attach(model)
    assert len(head.my_classes._forward_pre_hooks) == 1


def test_a_run_trains_with_it(tmp_path: Path) -> None:
    write_dataset(tmp_path / 'data')
    loss = {'type': 'imbdense.InfluenceBalancedLoss', 'alpha': 10.0, 'scheme': 'sqrt'}
    hooks = [{'type': 'imbdense.ClassCountHook'}, {'type': 'imbdense.FeatureTapHook'}]
    runner = Runner.from_cfg(config(tmp_path / 'data', tmp_path / 'work', loss=loss, hooks=hooks))
    runner.train()
    assert all(torch.isfinite(parameter).all() for parameter in runner.model.parameters())
    assert not runner.model.decode_head.conv_seg._forward_pre_hooks
