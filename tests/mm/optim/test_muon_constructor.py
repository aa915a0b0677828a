"""The constructor inside mmengine: groups, paramwise options, schedulers, a whole run with resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

pytest.importorskip('mmseg')

from mmengine.optim import build_optim_wrapper
from mmengine.optim.scheduler import CosineAnnealingLR
from mmengine.runner import Runner

from imbdense.mm.optim.muon_adamw import MuonAdamW
from tests.mm.hooks.tiny_run import config, write_dataset

OPTIMIZER = {'type': 'imbdense.MuonAdamW', 'lr': 1e-3, 'weight_decay': 0.1}


class Small(nn.Module):
    """A backbone of three layers with norms, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Conv2d(16, 16, 3), nn.BatchNorm2d(16), nn.Conv2d(16, 16, 3)
        )
        self.decode_head = nn.ModuleDict({'hidden': nn.Conv2d(16, 16, 1), 'conv_seg': nn.Conv2d(16, 5, 1)})


def wrapper(model: nn.Module, optimizer: dict[str, Any] | None = None, **options: Any) -> Any:
    """Built from a config, as the Runner does."""
    paramwise = options.pop('paramwise_cfg', None)
    return build_optim_wrapper(model, {
        'type': options.pop('type', 'OptimWrapper'), 'constructor': 'imbdense.MuonOptimWrapperConstructor',
        'optimizer': {**OPTIMIZER, **(optimizer or {})}, 'paramwise_cfg': paramwise, **options,
    })  # fmt: skip


def settings(model: nn.Module, built: Any) -> dict[str, dict[str, Any]]:
    """Name -> options of its group."""
    names = {id(param): name for name, param in model.named_parameters()}
    return {names[id(p)]: group for group in built.optimizer.param_groups for p in group['params']}


def test_one_group_for_each_kind() -> None:
    model = Small()
    built = wrapper(model)
    assert isinstance(built.optimizer, MuonAdamW)
    found = settings(model, built)
    assert set(found) == set(dict(model.named_parameters())) and len(built.optimizer.param_groups) == 2
    muon = {name for name, group in found.items() if group['use_muon']}
    assert muon == {'backbone.2.weight', 'backbone.4.weight', 'decode_head.hidden.weight'}
    assert all(group['lr'] == 1e-3 and group['weight_decay'] == 0.1 for group in found.values())


def test_host_options_act_on_both_parts() -> None:
    model = Small()
    built = wrapper(model, {'muon_lr': 0.02}, paramwise_cfg={
        'norm_decay_mult': 0.0, 'bias_lr_mult': 2.0,
        'custom_keys': {'backbone.2': {'lr_mult': 0.1, 'decay_mult': 0.5}, 'conv_seg': {'lr_mult': 10.0}},
    })  # fmt: skip
    found = settings(model, built)
    expected = {
        'backbone.0.weight': (False, 1e-3, 0.1), 'backbone.0.bias': (False, 2e-3, 0.1),
        'backbone.1.weight': (False, 1e-3, 0.0), 'backbone.2.weight': (True, 2e-3, 0.05),
        'backbone.2.bias': (False, 1e-4, 0.05), 'backbone.4.weight': (True, 0.02, 0.1),
        'decode_head.conv_seg.weight': (False, 1e-2, 0.1), 'decode_head.hidden.weight': (True, 0.02, 0.1),
    }  # fmt: skip
    for name, (muon, lr, decay) in expected.items():
        group = found[name]
        assert group['use_muon'] is muon
        assert (group['lr'], group['weight_decay']) == pytest.approx((lr, decay))
    assert len(built.optimizer.param_groups) == 7


def test_use_muon_of_custom_keys_overrides_the_rules() -> None:
    model = Small()
    built = wrapper(model, paramwise_cfg={'custom_keys': {
        'decode_head.hidden': {'use_muon': False}, 'conv_seg.weight': {'use_muon': True},
    }})  # fmt: skip
    found = settings(model, built)
    assert not found['decode_head.hidden.weight']['use_muon'] and found['decode_head.conv_seg.weight']['use_muon']
    with pytest.raises(ValueError, match='ends with "weight"'):
        wrapper(Small(), paramwise_cfg={'custom_keys': {'conv_seg': {'use_muon': True}}})


def test_schedulers_scale_each_group_from_its_own_start() -> None:
    model = Small()
    built = wrapper(model, {'muon_lr': 0.02})
    scheduler = CosineAnnealingLR(built, T_max=2, by_epoch=False)
    scheduler.step()
    assert sorted(group['lr'] for group in built.optimizer.param_groups) == pytest.approx([5e-4, 0.01])


def test_shared_and_frozen_parameters() -> None:
    model = Small()
    model.again = model.decode_head['hidden']
    model.backbone[4].requires_grad_(False)
    found = settings(model, wrapper(model))
    assert 'backbone.4.weight' not in found and 'decode_head.hidden.weight' in found


@pytest.mark.parametrize(
    ('options', 'word'),
    [
        ({'paramwise_cfg': {'head_key': ['x']}}, 'Did you mean head_keys'),
        ({'paramwise_cfg': {'head_keys': 'conv_seg'}}, 'list of names'),
        ({'paramwise_cfg': {'grouped': 'sgd'}}, 'grouped'),
        ({'paramwise_cfg': {'muon_parts': ['o']}}, 'muon_parts'),
        ({'paramwise_cfg': {'muon_parts': ['v'], 'fused_qkv': False}}, 'fused_qkv=True'),
        ({'paramwise_cfg': {'min_dim': 0}}, 'min_dim'),
        ({'paramwise_cfg': {'min_dim': 1000}}, 'no parameter of the model goes to Muon'),
        ({'optimizer': {'type': 'AdamW'}}, "type='imbdense.MuonAdamW'"),
    ],
)
def test_mistakes_are_named(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        wrapper(Small(), **options)


def test_sharded_model_is_refused() -> None:
    model = Small()
    model.backbone[2].weight._fsdp_flattened = True
    with pytest.raises(TypeError, match='sharded parameter'):
        wrapper(model)


def test_accumulation_and_clipping() -> None:
    """Two half batches equal one batch; mmengine's wrapper needs nothing special."""
    def run(parts: int) -> torch.Tensor:
        torch.manual_seed(0)
        model = Small()
        built = wrapper(model, accumulative_counts=parts, clip_grad={'max_norm': 0.1})
        built.initialize_count_status(model, 0, 4 * parts)
        for step in range(4):
            data = torch.randn(4, 3, 9, 9, generator=torch.Generator().manual_seed(step))
            for part in data.chunk(parts):
                hidden = model.backbone[0](part).relu()
                out = model.decode_head['conv_seg'](model.decode_head['hidden'](model.backbone[2](hidden)))
                with built.optim_context(model):
                    built.update_params(out.square().mean())
        return model.backbone[2].weight.detach()

    assert torch.allclose(run(2), run(1), atol=1e-5)


def run_of(folder: Path, work: Path, **changes: Any) -> Runner:
    """The tiny run with a hidden layer and Muon."""
    run = config(folder, work, hooks=[])
    run.model.decode_head.update(num_convs=1, channels=8, norm_cfg={'type': 'BN'})
    run.optim_wrapper = {
        'type': changes.get('wrapper', 'OptimWrapper'), 'constructor': 'imbdense.MuonOptimWrapperConstructor',
        'optimizer': {**OPTIMIZER, 'muon_lr': 0.02},
    }  # fmt: skip
    run.param_scheduler = [{'type': 'LinearLR', 'start_factor': 0.1, 'by_epoch': False, 'begin': 0, 'end': 6}]
    run.train_cfg = {'type': 'EpochBasedTrainLoop', 'max_epochs': changes.get('epochs', 2), 'val_interval': 10}
    run.default_hooks = {'checkpoint': {'type': 'CheckpointHook', 'interval': 1}}
    run.custom_hooks = changes.get('hooks', [{'type': 'imbdense.ExactResumeHook'}])
    run.resume, run.load_from = changes.get('resume', False), changes.get('load_from')
    run.experiment_name = f'muon_{work.name}'
    return Runner.from_cfg(run)


@pytest.mark.parametrize('kind', ['OptimWrapper', 'imbdense.CpuAutocastOptimWrapper'])
def test_a_resumed_run_equals_an_uninterrupted_one(kind: str, tmp_path: Path) -> None:
    write_dataset(tmp_path / 'data')
    whole = run_of(tmp_path / 'data', tmp_path / f'whole_{kind[-8:]}', wrapper=kind)
    whole.train()
    first = run_of(tmp_path / 'data', tmp_path / f'first_{kind[-8:]}', wrapper=kind, epochs=1)
    first.train()
    again = run_of(tmp_path / 'data', tmp_path / f'again_{kind[-8:]}', wrapper=kind, resume=True,
                   load_from=str(Path(first.work_dir) / 'epoch_1.pth'))  # fmt: skip
    again.train()
    assert isinstance(again.optim_wrapper.optimizer, MuonAdamW)
    assert {group['use_muon'] for group in again.optim_wrapper.optimizer.param_groups} == {True, False}
    for (name, wanted), value in zip(whole.model.state_dict().items(), again.model.state_dict().values()):
        assert torch.equal(wanted, value), name
