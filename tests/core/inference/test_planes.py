"""Arg-max and softmax over planes say what torch says."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.inference import planes
from imbdense.core.inference.planes import argmax_planes, softmax_planes


def scores(classes: int) -> torch.Tensor:
    return 3 * torch.randn((classes, 37, 53), generator=torch.Generator().manual_seed(classes))


@pytest.mark.parametrize('classes', [1, 2, 24, 256, 300])
def test_argmax_is_that_of_torch(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planes, 'CACHE_FLOATS', 400)  # several pieces
    z = scores(classes)
    found = argmax_planes(z)
    assert found.dtype == (torch.uint8 if classes <= 256 else torch.int16)
    assert torch.equal(found.long(), z.argmax(0))


def test_first_of_equal_scores_wins_as_in_torch() -> None:
    z = torch.randint(0, 3, (6, 20, 20), generator=torch.Generator().manual_seed(0)).float()
    assert torch.equal(argmax_planes(z).long(), (z == z.amax(0)).to(torch.uint8).argmax(0))


def test_infinite_scores_count_and_nan_is_an_error() -> None:
    z = scores(4)
    z[2, 3, 4], z[1, 5, 6] = float('inf'), float('-inf')
    assert torch.equal(argmax_planes(z).long(), z.argmax(0))
    z[3, 0, 0] = float('nan')
    with pytest.raises(ValueError, match='not a number'):
        argmax_planes(z)


@pytest.mark.parametrize('classes', [1, 2, 24])
def test_softmax_times_factor(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planes, 'CACHE_FLOATS', 400)
    z, factor = scores(classes), torch.rand((37, 53), generator=torch.Generator().manual_seed(1))
    expected = z.softmax(0) * factor
    found = softmax_planes(z, factor)
    assert found.data_ptr() == z.data_ptr()  # in place
    assert torch.allclose(found, expected, atol=1e-6)


def test_softmax_of_large_logits_and_half_precision() -> None:
    z = torch.tensor([1e4, 0.0, -1e4]).view(3, 1, 1)
    assert softmax_planes(z, torch.ones(1, 1)).flatten().tolist() == [1.0, 0.0, 0.0]
    half = scores(5).to(torch.bfloat16)
    assert torch.allclose(softmax_planes(half, torch.ones(37, 53)), half.float().softmax(0), atol=1e-6)
