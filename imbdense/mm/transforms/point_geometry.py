"""Transforms: turn, scale, shift, mirror and jitter a cloud."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms.utils import cache_randomness
from numpy.typing import NDArray

from imbdense.core.checks import check_number
from imbdense.mm.transforms.host_rng import host_generator
from imbdense.mm.transforms.point_fields import PointTransform
from imbdense.registry import TRANSFORMS


class _Moved(PointTransform):
    """Base: one draw per cloud, applied to ``points``; ``attributes['height']`` follows what happens to z."""

    @cache_randomness
    def drawn(self, count: int) -> Any:
        """What is drawn for a cloud of ``count`` points."""
        return self.draw(host_generator(), count)


@TRANSFORMS.register_module()
class PointRotate(_Moved):
    """Turn the cloud about the vertical axis through the middle of its bounding box.

    Args:
        angle: (lowest, highest) in degrees, counter-clockwise seen from above.
    """

    def __init__(self, angle: Sequence[float] = (-180.0, 180.0)) -> None:
        self.angle = _range('angle', angle, 'PointRotate')

    def draw(self, rng: np.random.Generator, count: int) -> float:
        """The angle in radians."""
        return float(np.deg2rad(rng.uniform(*self.angle)))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Turn one sample."""
        self.require(results, 'points')
        points = results['points']
        angle = self.drawn(len(points))
        if len(points) == 0:
            return results
        middle = (points[:, :2].min(axis=0) + points[:, :2].max(axis=0)) / 2
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        turned = points.copy()
        turned[:, :2] = (points[:, :2] - middle) @ np.array([[cos, sin], [-sin, cos]], np.float32) + middle
        return {**results, 'points': turned}

    def __repr__(self) -> str:
        return f'PointRotate(angle={self.angle})'


@TRANSFORMS.register_module()
class PointScale(_Moved):
    """Scale the cloud about its own origin.

    Args:
        scale: (lowest, highest) factor, > 0.
        anisotropic: another factor for each axis (KPConv's training); ``False`` = one for all.
    """

    def __init__(self, scale: Sequence[float] = (0.95, 1.05), anisotropic: bool = False) -> None:
        self.scale = _range('scale', scale, 'PointScale')
        check_number('scale', self.scale[0], low=0, low_open=True, owner='PointScale')
        self.anisotropic = bool(anisotropic)

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.float32]:
        """(3,) factors."""
        return np.broadcast_to(rng.uniform(*self.scale, size=3 if self.anisotropic else 1), 3).astype(np.float32)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Scale one sample."""
        self.require(results, 'points')
        factors = self.drawn(len(results['points']))
        return {**results, 'points': results['points'] * factors, 'attributes': _raised(results, factors[2], 0.0)}

    def __repr__(self) -> str:
        return f'PointScale(scale={self.scale}, anisotropic={self.anisotropic})'


@TRANSFORMS.register_module()
class PointShift(_Moved):
    """Move the whole cloud, so that voxel borders fall elsewhere each time.

    Args:
        shift: largest move along each axis in metres, both ways.
    """

    def __init__(self, shift: Sequence[float] = (0.2, 0.2, 0.2)) -> None:
        self.shift = tuple(check_number('shift', value, low=0, owner='PointShift') for value in shift)
        if len(self.shift) != 3:
            raise ValueError(f'PointShift: shift must hold three numbers, but got {tuple(shift)}.')

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.float32]:
        """(3,) metres."""
        return (rng.uniform(-1, 1, 3) * self.shift).astype(np.float32)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Move one sample."""
        self.require(results, 'points')
        return {**results, 'points': results['points'] + self.drawn(len(results['points']))}

    def __repr__(self) -> str:
        return f'PointShift(shift={self.shift})'


@TRANSFORMS.register_module()
class PointFlip(_Moved):
    """Mirror the cloud in the middle of its bounding box, along x and along y, each by itself.

    Args:
        prob: chance of each of the two, in [0, 1].
    """

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = check_number('prob', prob, low=0, high=1, owner='PointFlip')

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.bool_]:
        """(2,) whether x and y are mirrored."""
        return rng.random(2) < self.prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Mirror one sample."""
        self.require(results, 'points')
        mirrored = results['points'].copy()
        for axis in np.flatnonzero(self.drawn(len(mirrored))).tolist() if len(mirrored) else ():
            values = mirrored[:, axis]
            mirrored[:, axis] = values.min() + values.max() - values
        return {**results, 'points': mirrored}

    def __repr__(self) -> str:
        return f'PointFlip(prob={self.prob:g})'


@TRANSFORMS.register_module()
class PointJitter(_Moved):
    """Move every point by itself, Gaussian.

    Args:
        sigma: standard deviation along each axis in metres.
        clip: largest move along each axis in metres.
    """

    def __init__(self, sigma: float = 0.02, clip: float = 0.1) -> None:
        self.sigma = check_number('sigma', sigma, low=0, owner='PointJitter')
        self.clip = check_number('clip', clip, low=0, owner='PointJitter')

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.float32]:
        """(count, 3) metres."""
        return np.clip(rng.standard_normal((count, 3), np.float32) * self.sigma, -self.clip, self.clip)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Move the points of one sample."""
        self.require(results, 'points')
        moves = self.drawn(len(results['points']))
        return {**results, 'points': results['points'] + moves, 'attributes': _raised(results, 1.0, moves[:, 2:])}

    def __repr__(self) -> str:
        return f'PointJitter(sigma={self.sigma:g}, clip={self.clip:g})'


def _raised(results: dict[str, Any], factor: float, move: float | NDArray[np.float32]) -> dict[str, Any]:
    """The attributes with the height above ground scaled and moved, where there is one."""
    attributes = results.get('attributes', {})
    if 'height' not in attributes:
        return attributes
    return {**attributes, 'height': (attributes['height'] * factor + move).astype(np.float32)}


def _range(name: str, values: Sequence[float], owner: str) -> tuple[float, float]:
    """(lowest, highest) of finite numbers."""
    numbers = [check_number(name, value, owner=owner) for value in values]
    if len(numbers) != 2 or numbers[0] > numbers[1]:
        raise ValueError(f'{owner}: {name} must be (lowest, highest), but got {tuple(values)}.')
    return numbers[0], numbers[1]
