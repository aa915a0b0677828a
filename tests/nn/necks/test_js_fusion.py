"""Fusion in space and frequency."""

from __future__ import annotations

import pytest
import torch

from imbdense.nn.necks.js_fusion import JSFusion, log_amplitude


def test_hand_example() -> None:
    expected = torch.tensor([[1.7918, 0.6931], [1.0986, 0.0]])
    assert torch.allclose(log_amplitude(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])), expected, atol=1e-4)


@pytest.mark.parametrize('size', [(8, 8), (7, 9), (6, 7), (9, 6), (1, 1), (1, 4), (5, 2)])
def test_half_of_the_spectrum_is_enough(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    full = torch.log1p(torch.fft.fft2(x, norm='ortho').abs())
    assert torch.allclose(log_amplitude(x), full, atol=1e-6)


def test_no_nan_in_the_gradient_where_the_amplitude_is_zero() -> None:
    x = torch.ones(1, 1, 4, 4, requires_grad=True)
    log_amplitude(x).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert torch.autograd.gradcheck(log_amplitude, (torch.randn(1, 1, 3, 4, dtype=torch.float64, requires_grad=True),))


def test_float32_under_autocast() -> None:
    x = torch.randn(1, 2, 6, 6)
    with torch.autocast('cpu', torch.bfloat16):
        assert log_amplitude(x.bfloat16()).dtype == torch.float32
        fused = JSFusion(4)(torch.randn(2, 4, 6, 6), torch.randn(2, 4, 6, 6))
    assert torch.isfinite(fused).all()


def parameters(**options) -> int:
    return sum(p.numel() for p in JSFusion(16, **options).parameters())


def test_switches_change_the_parameters_as_documented() -> None:
    """Two branches of C^2 + 2 C; each part of the concatenation is C^2 of the 1 x 1 convolution."""
    c = 16
    full = parameters()
    assert full - parameters(freq=None) == 2 * (c * c + 2 * c) + 2 * c * c
    assert full - parameters(use_diff=False) == c * c
    assert full - parameters(symmetric=True) == (c * c + 2 * c) + 2 * c * c


@pytest.mark.parametrize('freq', ['log_amplitude', None])
def test_symmetric_fusion_does_not_know_the_order(freq: str | None) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 2, 8, 5, 6).unbind()
    fuse = JSFusion(8, freq, symmetric=True).eval()
    assert torch.equal(fuse(a, b), fuse(b, a))
    ordered = JSFusion(8, freq).eval()
    assert not torch.allclose(ordered(a, b), ordered(b, a))


def test_frequencies_change_the_result_and_all_parameters_learn() -> None:
    torch.manual_seed(0)
    fuse = JSFusion(8)
    a, b = torch.randn(2, 2, 8, 6, 6).unbind()
    y = fuse(a, b)
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in fuse.parameters())
    fuse.branches[0][1].weight.data.zero_()
    assert not torch.allclose(fuse(a, b), y)
