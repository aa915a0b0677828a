"""Values of a sensor mapped to the range of bytes, as the loaders of rasters do it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_value_range(value: Any, owner: str) -> NDArray[np.float32] | None:
    """Return a ``value_range`` as (1 or B, 2) array of low < high; ``None`` stays.

    Raises:
        ValueError: no such pairs.
    """
    if value is None:
        return None
    pairs = np.atleast_2d(np.asarray(value, dtype=np.float32))
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not (pairs[:, 0] < pairs[:, 1]).all():
        raise ValueError(f'{owner}: value_range must be (low, high) with low < high, or such a pair per band; {value}.')
    return pairs


def scale_values(image: NDArray[Any], pairs: NDArray[np.float32], owner: str) -> NDArray[np.float32]:
    """Map (H, W, B) linearly from low ... high to 0 ... 255, without clipping.

    Raises:
        ValueError: neither one pair nor one per band.
    """
    if pairs.shape[0] not in (1, image.shape[2]):
        raise ValueError(f'{owner}: value_range has {pairs.shape[0]} pairs for {image.shape[2]} bands.')
    low, high = pairs[:, 0], pairs[:, 1]
    return ((image.astype(np.float32) - low) * (255.0 / (high - low))).astype(np.float32)
