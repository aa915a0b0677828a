"""The class table of whatever data set a sampler is given."""

from __future__ import annotations

from typing import Any

from imbdense.core.stats import ImageClassTable
from imbdense.mm.dataset_wrappers import leaves


def dataset_table(dataset: Any) -> ImageClassTable:
    """Return which image of ``dataset`` holds how much of which class.

    mmseg and mmdet data sets (also wrapped) are counted by :func:`imbdense.mm.datasets.statistics.class_table`,
    through its cache. Any other data set must have ``get_cat_ids(i)`` (class indices of image i, once per object) and
    ``metainfo['classes']``; it is asked once per image. A data set may have ``sampling_table()``, another table to
    balance and its names, or ``None``.

    Raises:
        TypeError: the data set offers neither. ValueError: a wrapped data set wants another table balanced.
    """
    from imbdense.mm.datasets.statistics import class_table

    own = dataset.sampling_table() if hasattr(dataset, 'sampling_table') else None
    if own is not None:
        return own[0]  # type: ignore[no-any-return]
    for leaf in leaves(dataset):
        if leaf is not dataset and hasattr(leaf, 'sampling_table') and leaf.sampling_table() is not None:
            raise ValueError(
                f'{type(leaf).__name__} inside {type(dataset).__name__}: samplers cannot balance its own table '
                f"(sample_by) through a wrapper. Use it without, or with sample_by='change'."
            )
    try:
        return class_table(dataset)
    except TypeError as error:
        classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
        if classes is None or not hasattr(dataset, 'get_cat_ids'):
            raise TypeError(
                f'{type(dataset).__name__} cannot be counted: it is no mmseg or mmdet data set, and lacks '
                f"`get_cat_ids(index)` or metainfo['classes']. Add them, or use one of those data sets."
            ) from error
        return ImageClassTable.from_lists([dataset.get_cat_ids(i) for i in range(len(dataset))], len(classes))


def class_names(dataset: Any, indices: Any) -> list[str]:
    """Return the names of class ``indices`` for a message; the numbers when the data set names none."""
    own = dataset.sampling_table() if hasattr(dataset, 'sampling_table') else None
    names = own[1] if own is not None else (getattr(dataset, 'metainfo', None) or {}).get('classes') or ()
    return [str(names[i]) if i < len(names) else str(i) for i in indices]
