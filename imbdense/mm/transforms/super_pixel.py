"""Transform: the superpixel of every pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from imbdense.core.checks import check_number
from imbdense.core.points import superpixels
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SuperPixel(BaseTransform):
    """Add ``superpixel`` int32 (H, W): the number of the connected part of one colour that each pixel lies in.

    See :func:`imbdense.core.points.superpixels`. Numbers are those of the image as it is here, so the training pipeline
    may change colours after it, but neither crop, flip nor resize: pseudo-labels belong to numbers.

    Args:
        seed_size: side of a part in pixels. spatial, colour: compactness against edges.
        max_value: of the image, to bring it to [0, 1].
    """

    card = 'pointdc'
    tasks = ('segmentation',)

    def __init__(
        self, seed_size: float = 16.0, spatial: float = 0.4, colour: float = 4.0, max_value: float = 255.0
    ) -> None:
        self.seed_size = check_number('seed_size', seed_size, low=1.0, owner='SuperPixel')
        self.spatial = check_number('spatial', spatial, low=0.0, low_open=True, owner='SuperPixel')
        self.colour = check_number('colour', colour, low=0.0, owner='SuperPixel')
        self.max_value = check_number('max_value', max_value, low=0.0, low_open=True, owner='SuperPixel')

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the parts of one image."""
        image = np.asarray(results['img'], np.float64) / self.max_value
        parts = superpixels(image, seed_size=self.seed_size, spatial=self.spatial, colour=self.colour)
        results['superpixel'] = parts.astype(np.int32)
        return results

    def __repr__(self) -> str:
        return f'SuperPixel(seed_size={self.seed_size:g}, spatial={self.spatial:g}, colour={self.colour:g})'
