"""Transform: turn both epochs together and jitter each."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms.utils import cache_randomness
from numpy.typing import NDArray

from imbdense.core.checks import check_number
from imbdense.mm.transforms.host_rng import host_generator
from imbdense.mm.transforms.pair_fields import PairTransform
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PairJitterRotate(PairTransform):
    """Turn a pair about a vertical axis by a random angle, the same for both epochs; move every point a little.

    The axis goes through the centre of the crop, else through the middle of epoch 2. Jitter is Gaussian, cut at
    ``clip``, and drawn for each epoch, as its noise is.

    Args:
        sigma, clip: metres (authors: 0.01 and 0.05); sigma 0 = none.
        rotate: whether to turn.
    """

    def __init__(self, sigma: float = 0.01, clip: float = 0.05, rotate: bool = True) -> None:
        self.sigma = check_number('sigma', sigma, low=0.0, owner='PairJitterRotate')
        self.clip = check_number('clip', clip, low=0.0, owner='PairJitterRotate')
        self.rotate = bool(rotate)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Move one sample."""
        self.require(results, 'points', 'points_t1')
        points = results['points']
        if len(points) == 0:
            return results
        middle = results.get('crop_centre')
        middle = (points.min(axis=0) + points.max(axis=0)) / 2 if middle is None else middle
        rng, angle = self.drawn()
        cos, sin = (np.cos(angle), np.sin(angle)) if self.rotate else (1.0, 0.0)
        turn = np.array([[cos, sin], [-sin, cos]], np.float32)
        moved = {}
        for key in ('points', 'points_t1'):
            xyz = results[key].copy()
            xyz[:, :2] = (xyz[:, :2] - middle[:2]) @ turn + middle[:2]
            moved[key] = xyz + self._noise(rng, len(xyz))
        return {**results, **moved}

    @cache_randomness
    def drawn(self) -> tuple[np.random.Generator, float]:
        """The generator of the jitter, and the angle."""
        rng = host_generator()
        return rng, float(rng.uniform(0, 2 * np.pi))

    def _noise(self, rng: np.random.Generator, count: int) -> NDArray[np.float32]:
        """(count, 3) metres."""
        noise = np.clip(rng.normal(0, self.sigma, (count, 3)), -self.clip, self.clip)
        return noise.astype(np.float32)

    def __repr__(self) -> str:
        return f'PairJitterRotate(sigma={self.sigma:g}, clip={self.clip:g}, rotate={self.rotate})'
