"""Transform: photometric augmentation of the image bands of a multi-band raster."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from imbdense.core.checks import check_number
from imbdense.mm.transforms.band_roles import sample_bands
from imbdense.mm.transforms.host_rng import host_generator
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class BandPhotometric(BaseTransform):
    """Change brightness and contrast of image bands, saturation and hue of red, green and blue; nothing else.

    A brighter slope or a hue of heights means nothing: bands of kind 'elevation', 'terrain' and 'index' are not
    touched. Each date draws its own numbers, as light differs between dates. Values keep their unit, unclipped:

    brightness: ``x * (1 + U(-b, b))``, one factor for all image bands of a date; contrast: ``m + (x - m) * (1 + U(-c,
    c))`` with the mean m of the valid pixels of each band; saturation: the same about the grey ``(r + g + b) / 3`` of
    each pixel; hue: (r, g, b) turned about the grey axis by ``U(-h, h)`` of a full turn.

    Args:
        brightness, contrast, saturation: largest relative change, in [0, 1).
        hue: largest part of a full turn, in [0, 0.5].

    Raises:
        ValueError: the sample does not name its bands.
    """

    card = 'multi_source_geotiff'
    tasks = ('segmentation', 'change_detection')

    def __init__(self, brightness: float = 0.3, contrast: float = 0.5, saturation: float = 0.2, hue: float = 0.05
                 ) -> None:
        owner = type(self).__name__
        self.brightness = check_number('brightness', brightness, low=0, high=0.99, owner=owner)
        self.contrast = check_number('contrast', contrast, low=0, high=0.99, owner=owner)
        self.saturation = check_number('saturation', saturation, low=0, high=0.99, owner=owner)
        self.hue = check_number('hue', hue, low=0, high=0.5, owner=owner)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change one sample."""
        bands, dates = sample_bands(results, type(self).__name__)
        rng = host_generator()
        image = results['img'].astype(np.float32)
        images = [number for number, band in enumerate(bands) if band.kind == 'image']
        color = [number for role in ('red', 'green', 'blue') for number in images if bands[number].role == role]
        for date in range(dates):
            reach = np.array([self.brightness, self.contrast, self.saturation])
            gain, stretch, vivid = 1 + reach * rng.uniform(-1, 1, 3)
            turn = 2 * math.pi * self.hue * float(rng.uniform(-1, 1))
            first = date * len(bands)
            valid = results['valid'][..., date] if results.get('valid') is not None else np.ones(image.shape[:2], bool)
            for number in images:
                band = image[..., first + number] * np.float32(gain)
                mean = np.float32(band[valid].mean()) if valid.any() else np.float32(0)
                image[..., first + number] = mean + (band - mean) * np.float32(stretch)
            if len(color) == 3:
                places = [first + number for number in color]
                image[..., places] = image[..., places] @ _color_matrix(vivid, turn).T
        results['img'] = image
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(brightness={self.brightness}, contrast={self.contrast}, '
                f'saturation={self.saturation}, hue={self.hue})')


def _color_matrix(saturation: float, turn: float) -> NDArray[np.float32]:
    """(3, 3): keeps the grey of (r, g, b), scales what is not grey and turns it by ``turn`` (rad)."""
    grey = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    rotation = math.cos(turn) * (np.eye(3) - grey) + math.sin(turn) * cross
    return (grey + saturation * rotation).astype(np.float32)
