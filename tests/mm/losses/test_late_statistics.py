"""Statistics made at the first step: saved, restored, and out of the way of averaged models."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from mmengine.runner.checkpoint import get_state_dict, load_state_dict
from torch import nn

from imbdense.mm.losses.balanced_softmax import BalancedSoftmaxLoss
from imbdense.mm.losses.eqlv2 import EQLv2Loss


class Head(nn.Module):
    """A loss in front of layers with buffers, as decode heads have it."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss
        self.conv, self.bn = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, seed: int = 0) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        images = 3 + torch.randn(2, 3, 4, 4, generator=generator)
        logits = self.bn(self.conv(images)).movedim(1, -1).reshape(-1, 4)
        return self.loss(logits, torch.randint(0, 4, (32,), generator=generator))


LOSSES = {'counts': lambda: BalancedSoftmaxLoss(background=False), 'gradients': lambda: EQLv2Loss()}
each = pytest.mark.parametrize('make', LOSSES.values(), ids=LOSSES.keys())


@each
@pytest.mark.parametrize('update_buffers', [False, True])
def test_averaged_models_pair_the_right_buffers(make, update_buffers: bool) -> None:
    """mmengine zips the buffers of two models; one that came late shifted all others, or stopped the training."""
    model = Head(make())
    average = ExponentialMovingAverage(model, momentum=0.5, update_buffers=update_buffers)
    for seed in range(3):
        model(seed).backward()
        average.update_parameters(model)
    names = [name for name, _ in model.named_buffers()]
    assert names == [name for name, _ in average.module.named_buffers()]
    if not update_buffers:
        assert torch.equal(average.module.bn.running_var, model.bn.running_var)


@each
def test_the_state_dicts_of_torch_and_mmengine_hold_them_and_restore_them(make) -> None:
    torch.manual_seed(0)
    model = Head(make())
    model(0).backward()
    own = {key for key in model.state_dict() if key.startswith('loss.')}
    assert own and own == {key for key in get_state_dict(model) if key.startswith('loss.')}
    fresh, other = Head(make()), Head(make())
    assert not fresh.load_state_dict(model.state_dict(), strict=True).unexpected_keys
    load_state_dict(other, get_state_dict(model), strict=True)
    for copy in (fresh, other):
        assert all(torch.equal(copy.state_dict()[key], model.state_dict()[key]) for key in own)


@each
def test_they_follow_copies_modes_and_devices(make) -> None:
    model = Head(make())
    model(0).backward()
    copy = deepcopy(model).eval()
    before = {key: value.clone() for key, value in copy.state_dict().items() if key.startswith('loss.')}
    copy(1)
    assert all(torch.equal(copy.state_dict()[key], value) for key, value in before.items())  # frozen in eval mode
    model(2).backward()
    assert any(not torch.equal(model.state_dict()[key], value) for key, value in before.items())  # not shared
    assert all(value.device.type == 'meta' for value in copy.to('meta').state_dict().values())
