"""The compiled kernel is used only where it is there and right. A module of its name stands in for it."""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from imbdense.core.scan import selective_scan
from imbdense.core.scan.compiled import MODULE, compiled_scan_works
from tests.core.scan.cases import scan_inputs


@pytest.fixture(autouse=True)
def _looked_at_anew() -> Iterator[None]:
    compiled_scan_works.cache_clear()
    yield
    compiled_scan_works.cache_clear()


def stand_in(factor: float) -> Callable[..., Tensor]:
    """``selective_scan_fn`` in its own layout: u, delta (N, G D, L); A (G D, S); B, C (N, G, S, L)."""

    def selective_scan_fn(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
        groups = B.shape[1]
        h, y = torch.zeros(*u.shape[:2], A.shape[1]), []
        B, C = (x.repeat_interleave(u.shape[1] // groups, 1) for x in (B, C))
        for t in range(u.shape[2]):
            h = torch.exp(delta[..., t, None] * A) * h + (delta * u)[..., t, None] * B[..., t]
            y.append((h * C[..., t]).sum(-1))
        return factor * torch.stack(y, -1)

    return selective_scan_fn


def install(monkeypatch: pytest.MonkeyPatch, function: Callable[..., Tensor]) -> None:
    """Put a stand-in where the kernel is looked for."""
    parts = MODULE.split('.')
    for count in range(1, len(parts) + 1):
        module = types.ModuleType('.'.join(parts[:count]))
        module.__path__ = []
        monkeypatch.setitem(sys.modules, module.__name__, module)
    sys.modules[MODULE].selective_scan_fn = function


def test_a_kernel_that_agrees_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    right = stand_in(1.0)
    install(monkeypatch, lambda *x: calls.append(1) or right(*x))
    inputs = [x.detach() for x in scan_inputs(9, dtype=torch.float32)]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        y = selective_scan(*inputs, backend='mamba_ssm')
    assert len(calls) == 2  # the self-test and the call
    assert torch.allclose(y, selective_scan(*inputs, backend='loop'), atol=1e-5)


@pytest.mark.parametrize('broken', ['wrong', 'raises'])
def test_a_kernel_that_fails_is_left_alone_with_one_warning(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def raises(*_: Tensor) -> Tensor:
        raise RuntimeError('no kernel image is available')

    install(monkeypatch, stand_in(1.01) if broken == 'wrong' else raises)
    inputs = [x.detach() for x in scan_inputs(9, dtype=torch.float32)]
    with pytest.warns(UserWarning, match='fails its self-test') as caught:
        first = selective_scan(*inputs, backend='mamba_ssm')
        second = selective_scan(*inputs, backend='mamba_ssm')
    assert len(caught) == 1 and torch.equal(first, second)
    assert torch.equal(first, selective_scan(*inputs, backend='two_level'))


def test_asked_for_but_missing_warns_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'mamba_ssm', None)
    inputs = [x.detach() for x in scan_inputs(4, dtype=torch.float32)]
    with pytest.warns(UserWarning, match='mamba_ssm cannot be used') as caught:
        selective_scan(*inputs, backend='mamba_ssm')
        selective_scan(*inputs, backend='mamba_ssm')
    assert len(caught) == 1


def test_auto_on_a_cpu_says_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        selective_scan(*scan_inputs(4, dtype=torch.float32))
