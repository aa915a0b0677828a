"""Elevation rasters for the tests."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def hills(height: int = 40, width: int = 53, seed: int = 0) -> Tensor:
    """Rough hills, float32, about 0 to 200 m."""
    rng = np.random.default_rng(seed)
    field = np.fft.rfft2(rng.standard_normal((height, width)))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1
    surface = np.fft.irfft2(field / frequency**1.6, s=(height, width))
    return torch.from_numpy((200 * (surface - surface.min()) / np.ptp(surface)).astype(np.float32))


def plane(east: float, south: float, size: int = 7) -> Tensor:
    """z = east * x + south * (row), 1 m pixels, float64."""
    row, column = torch.meshgrid(torch.arange(size).double(), torch.arange(size).double(), indexing='ij')
    return east * column + south * row
