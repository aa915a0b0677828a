"""spconv as a backend: the same numbers where it is installed, named errors where it is not."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import pytest
import torch

from imbdense.nn.sparse import SparseFPN18, SparseUNet, SubMConv3d, set_backend
from imbdense.nn.sparse.spconv_backend import self_test, spconv_state_dict, spconv_weight
from tests.nn.sparse.clouds import nothing, points, surface

needs_spconv = pytest.mark.skipif(importlib.util.find_spec('spconv') is None, reason='spconv is not installed')
DEVICES = ['cpu', pytest.param('cuda', marks=pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU'))]


def test_absent_spconv_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(importlib, 'import_module', absent)
    with pytest.raises(ImportError, match=r"pip install spconv-cu126.*backend='torch'"):
        SparseUNet(3, 4, backend='spconv')
    with pytest.raises(ImportError, match='needs spconv'):
        self_test()


def test_weights_are_permuted_for_spconvs_modules() -> None:
    """Tap (x, y, z) = (0, 1, 2) is number 5; names stay, other entries too."""
    conv = SubMConv3d(2, 4)
    weight = spconv_weight(conv.weight)
    assert weight.shape == (4, 3, 3, 3, 2) and weight.is_contiguous()
    torch.testing.assert_close(weight[:, 0, 1, 2], conv.weight[5].t())
    state = spconv_state_dict(conv)
    assert list(state) == ['weight', 'bias'] and torch.equal(state['bias'], conv.bias)


@needs_spconv
@pytest.mark.parametrize('device', DEVICES)
def test_self_test(device: str) -> None:
    assert self_test(device).startswith('agrees with torch')


@needs_spconv
@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('cls', [SparseUNet, SparseFPN18])
def test_networks_agree(cls: type, device: str) -> None:
    torch.manual_seed(0)
    net = cls(3, 8).to(device).eval()
    coords, feats = surface(300, dtype=torch.float32)
    cloud = points((coords.to(device), feats.to(device)), nothing(3, torch.float32) if device == 'cpu' else
                   (coords.to(device), feats.to(device)))
    with torch.no_grad():
        wanted = net(cloud).feats
        set_backend(net, 'spconv')
        torch.testing.assert_close(net(cloud).feats, wanted, rtol=1e-4, atol=1e-4)


@needs_spconv
def test_gradients_on_the_cpu_are_refused() -> None:
    conv = SubMConv3d(3, 2)
    set_backend(conv, 'spconv')
    with pytest.raises(RuntimeError, match="no gradients on the CPU: use backend='torch'"):
        conv(points(surface(20, dtype=torch.float32)))
