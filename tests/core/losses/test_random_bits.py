"""Random integers by the byte."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.losses.random_bits import random_integers


@pytest.mark.parametrize(('dtype', 'values'), [(torch.uint8, 256), (torch.int16, 65536)])
def test_uniform_over_all_values(dtype: torch.dtype, values: int) -> None:
    drawn = random_integers((3, 100_001), dtype, torch.device('cpu'), torch.Generator().manual_seed(0))
    assert drawn.shape == (3, 100_001) and drawn.dtype == dtype
    level = (drawn.double() - torch.iinfo(dtype).min) / values
    assert level.mean().item() == pytest.approx(0.5, abs=0.005)
    assert level.var().item() == pytest.approx(1 / 12, abs=2e-3)
    parts = torch.histc(level.float(), 16, 0, 1)
    assert (parts / parts.sum() - 1 / 16).abs().max() < 0.003


def test_neighbours_are_independent() -> None:
    """Eight values come from one draw."""
    drawn = random_integers((800_000,), torch.uint8, torch.device('cpu'), torch.Generator().manual_seed(1)).double()
    for step in (1, 2, 7, 8):
        together = torch.corrcoef(torch.stack([drawn[:-step], drawn[step:]]))[0, 1]
        assert abs(together.item()) < 0.005


def test_it_follows_the_default_generator() -> None:
    torch.manual_seed(3)
    first = random_integers((17,), torch.uint8, torch.device('cpu'))
    second = random_integers((17,), torch.uint8, torch.device('cpu'))
    torch.manual_seed(3)
    assert torch.equal(first, random_integers((17,), torch.uint8, torch.device('cpu')))
    assert not torch.equal(first, second)
