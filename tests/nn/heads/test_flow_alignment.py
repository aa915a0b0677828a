"""Flow dual alignment: zero flow, a known shift, gradients, sizes."""

from __future__ import annotations

import torch

from imbdense.nn.heads.flow_alignment import FlowDualAlignment, MixFFN, warp


def test_zero_flow_is_the_identity_and_a_constant_flow_shifts() -> None:
    x = torch.arange(20.0).view(1, 1, 4, 5)
    torch.testing.assert_close(warp(x, torch.zeros(1, 2, 4, 5)), x)
    # One pixel to the right is 2 / (W - 1) of the grid, so the flow is 2 W / (W - 1) in x.
    flow = torch.zeros(1, 2, 4, 5)
    flow[:, 0] = 2 * 5 / 4
    torch.testing.assert_close(warp(x, flow)[..., :4], x[..., 1:])


def test_gradcheck() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    flow = (0.3 * torch.randn(1, 2, 4, 5, dtype=torch.float64)).requires_grad_()
    torch.autograd.gradcheck(warp, (x, flow))


def test_without_flow_it_is_the_difference_in_both_directions() -> None:
    fusion = FlowDualAlignment(3)
    torch.nn.init.zeros_(fusion.flow[-1].weight)
    a, b = torch.randn(2, 1, 3, 7, 9)
    torch.testing.assert_close(fusion(a, b), torch.cat([a - b, b - a], dim=1))


def test_sizes_and_autocast() -> None:
    fusion, mix = FlowDualAlignment(4), MixFFN(8, 8)
    a, b = torch.randn(2, 2, 4, 5, 6)
    with torch.autocast('cpu', torch.bfloat16):
        out = mix(fusion(a, b))
    assert out.shape == (2, 8, 5, 6) and torch.isfinite(out).all()
