"""The selective scan in two levels against the recurrence step by step; both on plain torch, with gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from imbdense.benchmark.speed_case import SpeedCase, Workload, require_close
from imbdense.core.scan import selective_scan
from imbdense.nn.vss_block import VSSBlock

LENGTH = 4096
CHANNELS = 384


def _step(forward: Callable[[], Tensor], inputs: list[Tensor]) -> Callable[[], tuple[Tensor, Tensor]]:
    """Forward and backward; some values and the gradient of the first input at the same places."""

    def run() -> tuple[Tensor, Tensor]:
        y = forward()
        gradient = torch.autograd.grad(y.sum(), inputs)[0]
        return y.detach()[..., -3:, :].clone(), gradient[..., :3, :].clone()

    return run


def _check(ours: tuple[Tensor, Tensor], peer: tuple[Tensor, Tensor]) -> str:
    require_close('values', ours[0], peer[0], 1e-3)
    return require_close('gradients', ours[1], peer[1], 1e-3)


def scan(scale: float) -> Workload:
    """One sequence of 4096 x ``scale`` steps, 384 channels, one state: the size of a 64 x 64 map in VMamba."""
    generator = torch.Generator().manual_seed(0)
    length = int(LENGTH * scale)
    u, B, C = (torch.randn(1, 1, length, width, generator=generator) for width in (CHANNELS, 1, 1))
    delta = torch.rand(1, 1, length, CHANNELS, generator=generator)
    A, D = -torch.rand(1, CHANNELS, 1, generator=generator), torch.randn(1, CHANNELS, generator=generator)
    inputs = [tensor.requires_grad_() for tensor in (u, delta, A, B, C, D)]
    ours, peer = (
        _step(lambda name=backend: selective_scan(*inputs, backend=name), inputs) for backend in ('two_level', 'loop')
    )
    return Workload(ours, peer, _check)


def block(scale: float) -> Workload:
    """A whole VSS block of 96 channels on a map of 64 x 64 x ``scale`` pixels, four paths."""
    torch.manual_seed(0)
    layer = VSSBlock(96).train()
    side = int(64 * scale**0.5)
    x = torch.randn(1, side, side, 96, requires_grad=True)
    inputs = [x, *layer.parameters()]

    def forward(backend: str) -> Callable[[], Tensor]:
        def run() -> Tensor:
            layer.op.scan = backend
            return layer(x)

        return run

    return Workload(_step(forward('two_level'), inputs), _step(forward('loop'), inputs), _check)


CASES = (
    SpeedCase('selective-scan', 'selective scan, forward + backward, 384 channels × 4096 steps', 'loop under autograd',
              0.05, scan, small=1.0, peer_repeats=2),
    SpeedCase('vss-block', 'VSS block, forward + backward, 96 channels, map 64²', 'the same block with the loop', 0.25,
              block, small=1.0, peer_repeats=2),
)
