"""The class table of whatever data set a sampler is given."""

from __future__ import annotations

from typing import Any

from imbdense.core.stats import ImageClassTable


def dataset_table(dataset: Any) -> ImageClassTable:
    """Return which image of ``dataset`` holds how much of which class.

    mmseg and mmdet data sets (also wrapped) are counted by :func:`imbdense.mm.datasets.statistics.class_table`,
    through its cache. Any other data set must have ``get_cat_ids(i)`` (class indices of image i, once per object) and
    ``metainfo['classes']``; it is asked once per image. A data set may have ``sampling_table()``, another table to
    balance and its names, or ``None``.

    Raises:
        TypeError: the data set offers neither.
    """
    from imbdense.mm.datasets.statistics import class_table

    own = dataset.sampling_table() if hasattr(dataset, 'sampling_table') else None
    if own is not None:
        return own[0]  # type: ignore[no-any-return]
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
