"""Windows and how they are blended."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from imbdense.core.inference.slide_blend import slide_blend


@pytest.mark.parametrize('size', [(20, 13), (5, 6), (8, 8), (9, 3)])
def test_a_model_without_context_is_not_changed_by_windows(size: tuple[int, int]) -> None:
    images = torch.randn(2, 3, *size)
    shapes = []

    def predict(window: Tensor) -> list[Tensor]:
        shapes.append(tuple(window.shape[-2:]))
        return [window, window[:, :2] * 2]

    first, second = slide_blend(images, predict, (8, 7), (5, 4))
    assert torch.allclose(first, images.softmax(1), atol=1e-5)
    assert torch.allclose(second, (images[:, :2] * 2).softmax(1), atol=1e-5)
    assert set(shapes) == {(8, 7)}


def test_two_windows_that_disagree_fade_into_one_another() -> None:
    """One row of 12, windows of 8: probability 1 on the left, 0 on the right, falling where both see the pixel."""
    calls = iter([100.0, -100.0])

    def predict(window: Tensor) -> list[Tensor]:
        value = next(calls)
        return [torch.tensor([value, -value]).view(1, 2, 1, 1).expand(1, 2, 1, 8)]

    (found,) = slide_blend(torch.zeros(1, 1, 1, 12), predict, (1, 8), (1, 4))
    chance = found[0, 0, 0]
    assert (chance[:4] == 1).all() and (chance[8:] == 0).all() and (chance[4:8].diff() < 0).all()
    assert torch.allclose(found.sum(1), torch.ones(1, 1, 12))
    assert chance[4] == pytest.approx(1 - chance[7].item(), abs=1e-6)
