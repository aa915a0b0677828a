"""Sizes of the feature maps that training makes of an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Size = tuple[int, int]


def pad_divisor(model: Any) -> int:
    """What the data preprocessor pads height and width to a multiple of; 1 when it does not."""
    return int(getattr(getattr(model, 'data_preprocessor', None), 'pad_size_divisor', 1) or 1)


def padded(shape: Size, divisor: int) -> Size:
    """(height, width) rounded up to multiples of ``divisor``."""
    return math.ceil(shape[0] / divisor) * divisor, math.ceil(shape[1] / divisor) * divisor


def feature_sizes(shape: Size, divisor: int, strides: Sequence[tuple[int, int]]) -> tuple[Size, ...]:
    """(height, width) of the map of each stride (x, y): ceil(padded size / stride).

    In a batch of images of different sizes the host pads to the largest; what that adds is not known here.
    """
    height, width = padded(shape, divisor)
    return tuple((math.ceil(height / y), math.ceil(width / x)) for x, y in strides)
