"""Sliding windows in memory: the host's numbers without its padding."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.inference.slide_mean import slide_mean


def network(images: torch.Tensor) -> torch.Tensor:
    """Scores that depend on the place in the window."""
    ramp = torch.linspace(0, 1, images.shape[-1]) + torch.linspace(0, 2, images.shape[-2])[:, None]
    return torch.cat([images * ramp, images.flip(1) + ramp], dim=1)


def padded_mean(images: torch.Tensor, crop: tuple[int, int], stride: tuple[int, int]) -> torch.Tensor:
    """The definition of mmseg's slide_inference."""
    height, width = images.shape[-2:]
    sums, count = 0, torch.zeros((1, 1, height, width))
    for i in range(max(height - crop[0] + stride[0] - 1, 0) // stride[0] + 1):
        for j in range(max(width - crop[1] + stride[1] - 1, 0) // stride[1] + 1):
            y2, x2 = min(i * stride[0] + crop[0], height), min(j * stride[1] + crop[1], width)
            y1, x1 = max(y2 - crop[0], 0), max(x2 - crop[1], 0)
            sums = sums + F.pad(network(images[..., y1:y2, x1:x2]), (x1, width - x2, y1, height - y2))
            count[..., y1:y2, x1:x2] += 1
    return sums / count


@pytest.mark.parametrize('size', [(23, 31), (8, 40), (5, 6), (16, 8)])
def test_bits_of_the_padded_mean(size: tuple[int, int]) -> None:
    images = torch.randn((2, 3, *size), generator=torch.Generator().manual_seed(0))
    assert torch.equal(slide_mean(network, images, (8, 8), (5, 3)), padded_mean(images, (8, 8), (5, 3)))


def test_stride_larger_than_the_crop_is_refused() -> None:
    with pytest.raises(ValueError, match='stride'):
        slide_mean(network, torch.zeros(1, 3, 20, 20), (8, 8), (9, 8))
