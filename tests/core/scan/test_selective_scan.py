"""The selective scan: value, gradient, long sequences, half precision, memory of its graph."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.scan import selective_scan
from tests.core.scan.cases import scan_inputs, slow_scan

LENGTHS = [(1, 8192), (2, 8192), (7, 8192), (16, 8192), (101, 8192), (101, 10), (96, 32), (97, 96)]


def test_hand_example() -> None:
    """a = exp(-1) at every step, b = u: 1, then 1 e^-1 + 2, then (1 e^-1 + 2) e^-1 + 0, plus the direct path."""
    u = torch.tensor([1.0, 2.0, 0.0], dtype=torch.float64).view(1, 1, 3, 1)
    ones = torch.ones_like(u)
    A, D = -torch.ones(1, 1, 1, dtype=torch.float64), torch.full((1, 1), 10.0, dtype=torch.float64)
    decay = torch.exp(torch.tensor(-1.0, dtype=torch.float64)).item()
    expected = [11.0, decay + 22, (decay + 2) * decay]
    assert selective_scan(u, ones, A, ones, ones, D).flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize('backend', ['two_level', 'loop'])
def test_agrees_with_the_definition(backend: str) -> None:
    inputs = [tensor.detach() for tensor in scan_inputs(23)]
    assert torch.allclose(selective_scan(*inputs, backend=backend), slow_scan(*inputs), atol=1e-12)


@pytest.mark.parametrize(('length', 'segment'), LENGTHS)
def test_value_and_gradients_agree_with_the_loop(length: int, segment: int) -> None:
    inputs = scan_inputs(length)
    ours = selective_scan(*inputs, backend='two_level', segment=segment)
    loop = selective_scan(*inputs, backend='loop')
    assert torch.allclose(ours, loop, atol=1e-11)
    weight = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1), dtype=ours.dtype)
    for own, other in zip(torch.autograd.grad(ours, inputs, weight), torch.autograd.grad(loop, inputs, weight)):
        assert torch.allclose(own, other, atol=1e-10)


@pytest.mark.parametrize(('length', 'segment'), [(5, 8192), (11, 4)])
def test_gradcheck(length: int, segment: int) -> None:
    inputs = scan_inputs(length, batch=1, groups=2, channels=2)
    assert torch.autograd.gradcheck(lambda *x: selective_scan(*x, backend='two_level', segment=segment), inputs)


def test_large_steps_and_long_sequences_neither_overflow_nor_vanish() -> None:
    """Steps of 50 and 5000 elements: exp of the summed exponents would be inf / inf."""
    inputs = scan_inputs(5000, 1, batch=1, groups=1, channels=2, largest_step=50.0, dtype=torch.float32)
    y = selective_scan(*inputs, backend='two_level')
    with torch.no_grad():
        loop = selective_scan(*[x.double() for x in inputs], backend='loop')
    assert torch.allclose(y.double(), loop, rtol=1e-4, atol=1e-3)
    assert all(torch.isfinite(grad).all() for grad in torch.autograd.grad(y.sum(), inputs))


def test_no_decay_is_a_cumulative_sum() -> None:
    u = torch.arange(1.0, 9.0).view(1, 1, 8, 1)
    ones = torch.ones_like(u)
    y = selective_scan(u, ones, torch.zeros(1, 1, 1), ones, ones)
    assert y.flatten().tolist() == u.flatten().cumsum(0).tolist()


def test_half_precision_is_computed_in_float32() -> None:
    inputs = [tensor.detach() for tensor in scan_inputs(300, dtype=torch.float32)]
    halves = [tensor.bfloat16() for tensor in inputs]
    with torch.autocast('cpu', torch.bfloat16):
        y = selective_scan(*halves)
    exact = selective_scan(*[tensor.float() for tensor in halves])
    assert y.dtype == torch.bfloat16 and torch.equal(y, exact.bfloat16())


def test_backward_under_autocast_is_float32() -> None:
    inputs = scan_inputs(50, dtype=torch.float32)
    with torch.autocast('cpu', torch.bfloat16):
        inside = torch.autograd.grad(selective_scan(*inputs).sum(), inputs)
    outside = torch.autograd.grad(selective_scan(*inputs).sum(), inputs)
    assert all(torch.equal(a, b) for a, b in zip(inside, outside))


@pytest.mark.parametrize('states', [1, 8])
def test_the_graph_holds_the_inputs_and_no_states_of_every_step(states: int) -> None:
    """What is saved for backward: inputs once, one state per segment, the direct path. Never L x D x states."""
    length, channels, segment = 1024, 16, 128
    inputs = scan_inputs(length, states, batch=1, groups=1, channels=channels, dtype=torch.float32)
    saved: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // 4
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        selective_scan(*inputs, backend='two_level', segment=segment)
    rest = 2 * length * states + channels * states * (1 + length // segment) + 3 * channels
    assert sum(saved.values()) <= 2 * length * channels + rest


def test_nothing_to_scan() -> None:
    inputs = scan_inputs(0)
    y = selective_scan(*inputs)
    y.sum().backward()
    assert y.shape == (2, 3, 0, 4) and (inputs[5].grad == 0).all()


def test_wrong_shapes_and_names_are_told() -> None:
    u, delta, A, B, C, D = scan_inputs(4)
    with pytest.raises(ValueError, match=r'B must be \(2, 3, 4, 2\), but is \(2, 3, 4, 3\)'):
        selective_scan(u, delta, A, torch.zeros(2, 3, 4, 3), C)
    with pytest.raises(ValueError, match='u must be'):
        selective_scan(u[0], delta, A, B, C, D)
    with pytest.raises(ValueError, match='backend must be one of'):
        selective_scan(u, delta, A, B, C, backend='cuda')


@pytest.mark.slow
def test_compiles_to_one_graph_with_gradients() -> None:
    inputs = scan_inputs(12)
    compiled = torch.compile(lambda *x: selective_scan(*x), backend='aot_eager', fullgraph=True)
    for own, other in zip(
        torch.autograd.grad(compiled(*inputs).sum(), inputs), torch.autograd.grad(selective_scan(*inputs).sum(), inputs)
    ):
        assert torch.allclose(own, other)
