"""The ordered key keeps the order of floats, is exact for 16-bit floats and can be read back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.metrics.ordered_key import key_to_score, ordered_key

SPECIAL = torch.tensor([-float('inf'), -1e30, -1.0, -1e-40, -0.0, 0.0, 1e-40, 2e-4, 0.5, 1.0, 3e38, float('inf')])


@pytest.mark.parametrize('bits', [1, 8, 16, 20, 31, 32])
def test_order_is_kept(bits: int) -> None:
    values = torch.cat([SPECIAL, torch.randn(2000, generator=torch.Generator().manual_seed(0)) * 10]).sort().values
    keys = ordered_key(values, bits).long()
    assert int(keys.min()) >= 0 and int(keys.max()) < 2**bits
    assert bool((keys.diff() >= 0).all())


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_exact_for_every_16_bit_float(dtype: torch.dtype) -> None:
    every = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)
    every = every[~every.isnan()]
    keys = ordered_key(every, 16).long()
    order = keys.argsort()
    sorted_values = every[order].double()
    assert bool((sorted_values[1:] >= sorted_values[:-1]).all())
    assert torch.equal(keys[order].diff() == 0, sorted_values[1:] == sorted_values[:-1])


def test_bfloat16_keys_are_the_top_of_float32_keys() -> None:
    values = torch.randn(1000, generator=torch.Generator().manual_seed(1)).bfloat16()
    assert torch.equal(ordered_key(values, 16), ordered_key(values.float(), 16))


def test_zeros_share_a_key() -> None:
    assert ordered_key(torch.tensor([-0.0]), 32).item() == ordered_key(torch.tensor([0.0]), 32).item()


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_key_reads_back_as_the_lower_edge(dtype: torch.dtype) -> None:
    values = (torch.randn(500, generator=torch.Generator().manual_seed(2)) * 3).to(dtype)
    back = torch.from_numpy(key_to_score(ordered_key(values, 16).long().numpy(), 16, dtype))
    assert bool((back <= values.double()).all())
    exact = values if dtype != torch.float32 else values.bfloat16().float().abs()
    back = key_to_score(ordered_key(exact, 16).long().numpy(), 16, dtype)
    np.testing.assert_array_equal(back, exact.double().numpy())


def test_bad_arguments_are_named() -> None:
    with pytest.raises(TypeError, match='must be floats'):
        ordered_key(torch.tensor([1]))
    with pytest.raises(ValueError, match='has 16 bits'):
        ordered_key(torch.zeros(1, dtype=torch.bfloat16), 20)
    with pytest.raises(ValueError, match='bits'):
        ordered_key(torch.zeros(1), 33)
