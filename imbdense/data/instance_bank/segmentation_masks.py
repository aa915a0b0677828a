"""Instance masks as COCO stores them: polygons, run lengths as a list or as compressed text."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.instance_bank.objects import BankError


def decode_segmentation(segmentation: Any, height: int, width: int, image: str) -> NDArray[np.bool_]:
    """Return the mask (height, width) of a COCO ``segmentation``.

    Args:
        segmentation: list of polygons (x1, y1, x2, y2, ...), or a dict with ``counts`` and ``size``.
        image: name for messages.

    Raises:
        BankError: it cannot be decoded, or is of another size than the image.
    """
    from pycocotools import mask as codec

    try:
        if isinstance(segmentation, dict) and not isinstance(segmentation['counts'], list):
            runs = segmentation
        else:
            runs = codec.frPyObjects(segmentation, height, width)
        if isinstance(runs, list):
            runs = codec.merge(runs)
        mask = codec.decode(runs).astype(bool)
    except Exception as error:  # the codec raises whatever its C code meets
        raise BankError(f'{image}: an instance mask cannot be decoded ({error}). Correct the annotation.') from error
    if mask.shape != (height, width):
        raise BankError(f'{image} is {height} x {width} pixels, but one of its instance masks is {mask.shape}.')
    return mask
