"""From the values of a label file to training indices, as the host does it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from imbdense.data.readers.errors import LabelReadError


def map_label_values(
    values: NDArray[np.integer],
    label_map: Mapping[int, int] | None,
    reduce_zero_label: bool,
    ignore_index: int,
    path: str,
) -> NDArray[np.uint8]:
    """Return a fresh uint8 label with mmseg's ``reduce_zero_label`` (0 -> ignored, others - 1), then ``label_map``.

    ``ignore_index`` itself is never shifted. One table look-up instead of one pass per class.

    Raises:
        LabelReadError: values that are no bytes (< 0, > 255 or fractions); the message names the file.
    """
    if values.dtype != np.uint8:
        low, high = (values.min(), values.max()) if values.size else (0, 0)
        if low < 0 or high > 255 or not (values == np.floor(values)).all():
            raise LabelReadError(
                path, 'values', f'holds label values in [{low}, {high}], not whole numbers in [0, 255].',
                'Is this the image instead of its label?',
            )
        values = values.astype(np.uint8)
    table = np.arange(256)
    if reduce_zero_label:
        table = np.where((table == 0) | (table == ignore_index), ignore_index, table - 1)
    if label_map:
        mapped = table.copy()
        for old, new in label_map.items():
            mapped[table == old] = new if 0 <= new <= 255 else ignore_index
        table = mapped
    return table.astype(np.uint8)[values]
