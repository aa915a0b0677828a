"""Cut a window out of an array, with padding where the array ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def cut_window(array: NDArray[Any], window: tuple[int, int, int, int], fill: float) -> NDArray[Any]:
    """Return ``array[top:top + height, left:left + width]`` of (H, W, ...), always (height, width, ...).

    A view where the array covers the window; otherwise a copy filled with ``fill`` at the bottom and right.
    """
    top, left, height, width = window
    part = array[top : top + height, left : left + width]
    if part.shape[:2] == (height, width):
        return part
    padded = np.full((height, width, *array.shape[2:]), fill, dtype=array.dtype)
    padded[: part.shape[0], : part.shape[1]] = part
    return padded
