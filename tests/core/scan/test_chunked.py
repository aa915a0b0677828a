"""The two levels by themselves."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.scan.chunked import as_steps, chunk_steps, pad_steps, scan_steps


@pytest.mark.parametrize(('length', 'steps'), [(1, 1), (2, 2), (4096, 64), (4032, 64), (101, 11), (12, 4)])
def test_chunks_are_near_the_root_and_divide_where_they_can(length: int, steps: int) -> None:
    assert chunk_steps(length) == steps
    assert steps == 11 or length % steps == 0


def test_a_gpu_gets_shorter_chunks_for_few_rows_but_not_shorter_than_half() -> None:
    assert chunk_steps(4096, rows=10**6, gpu=True) == 64
    assert chunk_steps(4096, rows=384, gpu=True) < 64
    assert chunk_steps(4096, rows=1, gpu=True) == 32


@pytest.mark.parametrize('reverse', [False, True])
@pytest.mark.parametrize('length', [1, 5, 6, 20])
def test_any_decay_and_start(length: int, reverse: bool) -> None:
    """Forward and backward in time, from a start that is not zero."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(length, 3, generator=generator), torch.randn(length, 3, generator=generator)
    start = torch.randn(3, generator=generator)
    expected, h = [], start
    order = range(length - 1, -1, -1) if reverse else range(length)
    for t in order:
        h = a[t] * h + b[t]
        expected.append(h)
    steps = chunk_steps(length)
    padded_a, padded_b = pad_steps(a - 1, steps) + 1, pad_steps(b, steps)
    decay, state = as_steps(padded_a, steps), as_steps(padded_b, steps)
    if reverse:
        decay, state = decay[::-1], state[::-1]
    end = scan_steps(decay, state, start, reverse=reverse)
    found = padded_b[:length].flip(0) if reverse else padded_b[:length]
    assert torch.allclose(found, torch.stack(expected), atol=1e-6) and torch.allclose(end, h, atol=1e-6)


def test_products_take_the_place_of_the_decay() -> None:
    a, b = torch.rand(6, 2), torch.randn(6, 2)
    decay, state = a.clone(), b.clone()
    scan_steps(as_steps(decay, 3), as_steps(state, 3), torch.zeros(2), products=True)
    assert torch.allclose(decay + b, state) and torch.allclose(decay[1:], a[1:] * state[:-1])
