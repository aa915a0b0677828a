"""How far a network looks: the halo with which tiles say the same as one pass over the whole raster."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

PERIOD = 32
"""Outputs are compared over a square of this side, so that every phase of a down-sampling up to 32 is seen."""
TOLERANCE = 1e-6
"""Largest change, relative to the spread of the scores, that counts as none."""


def measure_halo(
    network: Callable[[Tensor], Tensor],
    channels: int,
    tile: int,
    *,
    most: int | None = None,
    device: torch.device | str = 'cpu',
    seed: int = 0,
) -> int | None:
    """Radius beyond which the input does not reach an output pixel, measured; ``None`` = it is larger than ``most``.

    The input outside a central window is exchanged for other noise; the halo is the least distance between a square
    of outputs in the middle and the border of that window for which the outputs stay the same (bisection: the logarithm
    of ``tile`` forward passes). Unlike gradients this also sees what max-pooling could have let through. Global
    attention, pooling over the image and norms over the image have no halo.

    Args:
        network: (1, channels, tile, tile) normalised input -> (1, K, tile, tile) scores.
        tile: side of the probe, at least 34; a multiple of the network's down-sampling.
        most: largest radius of interest; ``None`` = as far as the probe can tell, (tile - 32) / 2 - 1.
        seed: of the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    image, other = (torch.randn((1, channels, tile, tile), generator=generator) for _ in range(2))
    image, other = image.to(device), (10 * other).to(device)  # strong, so that it would win a maximum
    start = (tile - PERIOD) // 2
    middle = slice(start, start + PERIOD)
    with torch.inference_mode():
        expected = network(image)[..., middle, middle].double().clone()
        limit = TOLERANCE * float(expected.std()) if expected.numel() > 1 else TOLERANCE

        def reached_from(radius: int) -> bool:
            inside = slice(start - radius, start + PERIOD + radius)
            changed = other.clone()
            changed[..., inside, inside] = image[..., inside, inside]
            found = network(changed)[..., middle, middle].double()
            return not float((found - expected).abs().max()) <= limit

        low, high = 0, start - 1 if most is None else min(most, start - 1)
        if high < 0 or reached_from(high):
            return None
        while low < high:
            centre = (low + high) // 2
            if reached_from(centre):
                low = centre + 1
            else:
                high = centre
    return high
