"""Transforms: flip and turn multi-band rasters, with the vectors on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from imbdense.core.checks import check_choice, check_number
from imbdense.core.terrain import turn_vector
from imbdense.data.raster.bands import vector_pairs
from imbdense.mm.transforms.band_roles import sample_bands
from imbdense.mm.transforms.host_rng import host_generator
from imbdense.registry import TRANSFORMS

_MOVES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    'horizontal': lambda item: item[:, ::-1],
    'vertical': lambda item: item[::-1],
    'diagonal': lambda item: item[::-1, ::-1],
    'rot90': lambda item: np.rot90(item, 1),
    'rot180': lambda item: np.rot90(item, 2),
    'rot270': lambda item: np.rot90(item, 3),
}


def turn_sample(results: dict[str, Any], operation: str, owner: str) -> None:
    """Move the pixels of image, validity and label maps of a sample, and turn the vectors of every date.

    A flipped slope faces the other way: its east component changes sign. Image (H, W, D * B), before normalisation
    (vectors must not be shifted by a mean).
    """
    bands, dates = sample_bands(results, owner)
    move = _MOVES[operation]
    image = np.ascontiguousarray(move(results['img']))
    for date in range(dates):
        for east, north in vector_pairs(bands):
            pair = [date * len(bands) + east, date * len(bands) + north]
            turned = turn_vector(image[..., pair[0]].copy(), image[..., pair[1]].copy(), operation)
            image[..., pair[0]], image[..., pair[1]] = turned
    results['img'] = image
    for key in [*results.get('seg_fields', ()), 'valid']:
        if results.get(key) is not None:
            results[key] = np.ascontiguousarray(move(results[key]))
    results['img_shape'] = image.shape[:2]
    if 'pad_shape' in results:
        results['pad_shape'] = image.shape[:2]


@TRANSFORMS.register_module()
class GeoFlip(BaseTransform):
    """Flip a multi-band image, all its label maps, and the vector bands on it (eastness and northness).

    The host's flip mirrors the pixels of an aspect band but leaves its directions as they were: half of the augmented
    slopes then face the wrong way. Works on images of several dates; reads the bands from the sample. Before
    :class:`imbdense.NormalizeBands`.

    Args:
        prob: that the sample is flipped at all.
        direction: 'horizontal', 'vertical', 'diagonal' (both), one of which is drawn.

    Raises:
        ValueError: the sample does not name its bands; a vector component without its partner.
    """

    card = 'terrain'
    tasks = ('segmentation', 'change_detection')

    def __init__(self, prob: float = 0.5, direction: Sequence[str] | str = ('horizontal', 'vertical')) -> None:
        owner = type(self).__name__
        self.prob = check_number('prob', prob, low=0, high=1, owner=owner)
        self.direction = (direction,) if isinstance(direction, str) else tuple(direction)
        for name in self.direction:
            check_choice('direction', name, ('horizontal', 'vertical', 'diagonal'), owner=owner)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Flip one sample, or not; ``flip`` and ``flip_direction`` say which."""
        rng = host_generator()
        results['flip'], results['flip_direction'] = bool(rng.random() < self.prob), None
        if results['flip']:
            results['flip_direction'] = self.direction[int(rng.integers(len(self.direction)))]
            turn_sample(results, results['flip_direction'], type(self).__name__)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob}, direction={self.direction})'


@TRANSFORMS.register_module()
class GeoRot90(BaseTransform):
    """Turn a multi-band image by 90, 180 or 270 degrees counter-clockwise, with its label maps and vector bands.

    As :class:`GeoFlip`; height and width of the image change places at 90 and 270 degrees.

    Args:
        prob: that the sample is turned; each of the three turns is then equally likely.

    Raises:
        ValueError: the sample does not name its bands; a vector component without its partner.
    """

    card = 'terrain'
    tasks = ('segmentation', 'change_detection')

    def __init__(self, prob: float = 0.75) -> None:
        self.prob = check_number('prob', prob, low=0, high=1, owner=type(self).__name__)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Turn one sample, or not; ``rot90`` says by how many quarters."""
        rng = host_generator()
        results['rot90'] = int(rng.integers(1, 4)) if rng.random() < self.prob else 0
        if results['rot90']:
            turn_sample(results, f'rot{90 * results["rot90"]}', type(self).__name__)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob})'
