"""Which transitions a scene holds, estimated from a sample of its own pixels before it is mapped."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch

from imbdense.core.inference.transition_prior import PixelPairReservoir, estimate_transitions
from imbdense.data.raster.source_stack import Stack
from imbdense.mm.raster.network import RasterNetwork

TILES, PIXELS = 64, 50_000


def set_scene_transitions(network: RasterNetwork, stack: Stack, tile: int, seed: int = 0) -> float | None:
    """Give a model that still lacks its transition prior the most likely one of this scene (no labels needed).

    Places of up to 64 tiles are drawn over the raster, and 50,000 of their valid pixels; the estimate is that of
    :func:`imbdense.core.inference.estimate_transitions`. Every process that maps a part of the scene draws the same.

    Returns:
        The estimated share of changed pixels; ``None`` where the model needs no transitions.

    Raises:
        ValueError: the drawn tiles hold no valid pixel.
    """
    model: Any = network.model
    if not getattr(model, 'needs_transition', False):
        return None
    rng, reservoir = np.random.default_rng(seed), PixelPairReservoir(PIXELS, seed)
    height, width = (min(tile, length) for length in (stack.grid.height, stack.grid.width))
    places = {
        (int(rng.integers(stack.grid.height - height + 1)), int(rng.integers(stack.grid.width - width + 1)))
        for _ in range(TILES)
    }
    found = 0
    for top, left in sorted(places):
        values, valid = stack.read(top, top + height, left, left + width)
        if not valid.any():
            continue
        missing = [(0, tile - height), (0, tile - width)]
        values = np.pad(values, [(0, 0), *missing], mode='reflect')
        inputs = network.prepare(values, np.pad(valid, missing, mode='reflect'))
        kept = torch.from_numpy(valid).flatten()
        first, second = (
            scores[:, :height, :width].flatten(1).cpu()[:, kept].softmax(0)
            for scores in network(inputs[None])[0].split([group.channels for group in network.groups])
        )
        reservoir.add(first, second)
        found += int(kept.sum())
    if not found:
        raise ValueError(f'none of {len(places)} tiles drawn from {", ".join(stack.paths)} holds data at both dates, '
                         f'so the transitions cannot be estimated. Give the model transitions=FILE.csv.')
    estimate = estimate_transitions(*reservoir.sample(), model.prior.cpu(), model.allowed.cpu())
    model.set_transition(estimate.matrix)
    network.facts['transitions'] = hashlib.sha256(estimate.matrix.numpy().round(6).tobytes()).hexdigest()[:16]
    return estimate.change_rate
