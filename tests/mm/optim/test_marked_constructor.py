"""Marks of parameters are honoured, everything else stays the host's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

pytest.importorskip('mmseg')

from mmengine.optim import build_optim_wrapper

from imbdense.nn.vss_block import VSSBlock


def groups(model: nn.Module, constructor: str = 'Marked', **options) -> dict[str, dict]:
    """Name -> the group it is in."""
    wrapper = build_optim_wrapper(model, {
        'constructor': f'imbdense.{constructor}OptimWrapperConstructor',
        'optimizer': {'type': 'AdamW', 'lr': 1e-3, 'weight_decay': 0.05}, **options,
    })  # fmt: skip
    names = {id(p): name for name, p in model.named_parameters()}
    found = {names[id(p)]: group for group in wrapper.optimizer.param_groups for p in group['params']}
    assert len(found) == len(names)
    return found


def test_marked_parameters_have_no_decay() -> None:
    found = groups(nn.Sequential(VSSBlock(8), VSSBlock(8)))
    free = {name for name, group in found.items() if group['weight_decay'] == 0}
    assert free == {f'{i}.op.{name}' for i in (0, 1) for name in ('A_log', 'D')}
    assert {group['weight_decay'] for group in found.values()} == {0.0, 0.05}


def test_options_of_the_host_still_work() -> None:
    paramwise = {'norm_decay_mult': 0.0, 'custom_keys': {'mlp': {'lr_mult': 0.1}}}
    found = groups(VSSBlock(8), paramwise_cfg=paramwise)
    assert found['norm.weight']['weight_decay'] == 0 and found['op.A_log']['weight_decay'] == 0
    assert found['mlp.0.weight']['lr'] == pytest.approx(1e-4) and found['op.in_proj.weight']['weight_decay'] == 0.05


def test_a_step_without_gradient_shrinks_all_but_the_marked() -> None:
    model = VSSBlock(8)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    wrapper = build_optim_wrapper(model, {
        'constructor': 'imbdense.MarkedOptimWrapperConstructor',
        'optimizer': {'type': 'AdamW', 'lr': 0.1, 'weight_decay': 0.5},
    })  # fmt: skip
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    wrapper.step()
    assert torch.equal(model.op.D, before['op.D']) and torch.equal(model.op.A_log, before['op.A_log'])
    assert torch.allclose(model.op.in_proj.weight, 0.95 * before['op.in_proj.weight'])


def test_muon_honours_the_marks_as_well() -> None:
    blocks = nn.Sequential(*(VSSBlock(16) for _ in range(3)))
    found = groups(blocks, 'Muon', optimizer={'type': 'imbdense.MuonAdamW', 'lr': 1e-3, 'weight_decay': 0.05})
    free = {name for name, group in found.items() if group['weight_decay'] == 0}
    assert free == {f'{i}.op.{name}' for i in range(3) for name in ('A_log', 'D')}
    assert found['1.op.in_proj.weight']['use_muon'] and not found['1.op.A_log']['use_muon']
