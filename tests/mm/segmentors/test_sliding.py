"""Windows and how they are blended."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from imbdense.mm.segmentors.sliding import slide_probabilities, window_starts, window_weight


@pytest.mark.parametrize(
    ('size', 'window', 'stride', 'starts'),
    [(8, 8, 4, [0]), (9, 8, 4, [0, 1]), (16, 8, 4, [0, 4, 8]), (10, 4, 4, [0, 4, 6])],
)
def test_windows_cover_the_image_and_end_with_it(size: int, window: int, stride: int, starts: list[int]) -> None:
    assert window_starts(size, window, stride) == starts


@pytest.mark.parametrize('blend', ['hann', 'mean'])
@pytest.mark.parametrize('size', [(20, 13), (5, 6), (8, 8)])
def test_a_model_without_context_is_not_changed_by_windows(size: tuple[int, int], blend: str) -> None:
    images = torch.randn(2, 3, *size)
    shapes = []

    def predict(window: Tensor) -> list[Tensor]:
        shapes.append(tuple(window.shape[-2:]))
        return [window, window[:, :2] * 2]

    first, second = slide_probabilities(images, predict, (8, 7), (5, 4), blend)
    assert torch.allclose(first, images.softmax(1), atol=1e-5)
    assert torch.allclose(second, (images[:, :2] * 2).softmax(1), atol=1e-5)
    assert set(shapes) == {(8, 7)}


def test_hand_example_of_the_blend() -> None:
    """Two windows of one row disagree on the pixel both see: the mean is .5, Hann weighs the middle more."""
    images = torch.zeros(1, 1, 1, 5)
    calls = iter([100.0, -100.0])

    def predict(window: Tensor) -> list[Tensor]:
        value = next(calls)
        return [torch.tensor([value, -value]).view(1, 2, 1, 1).expand(1, 2, 1, 3)]

    (found,) = slide_probabilities(images, predict, (1, 3), (1, 2), 'mean')
    assert found[0, 0, 0].tolist() == pytest.approx([1, 1, 0.5, 0, 0])
    assert window_weight((1, 3), 'hann').flatten().tolist() == pytest.approx([0.5, 1.0, 0.5])
