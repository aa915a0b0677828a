"""What a data set says of its labels: classes, kind, files, and how their values become classes; nothing is counted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imbdense.data.readers.labels import LabelFormat
from imbdense.mm.dataset_wrappers import children, is_uncounted_part, leaves


def dataset_classes(dataset: Any) -> tuple[str, ...]:
    """The class names of a data set or wrapper.

    Raises:
        TypeError: it names none.
        ValueError: joined data sets name different ones.
    """
    inner = children(dataset)
    if inner:
        lists = {dataset_classes(child) for child in inner if not is_uncounted_part(dataset, child)}
        if len(lists) > 1:
            raise ValueError(
                f'the joined data sets have different classes: {sorted(lists)}. Give all the same metainfo.'
            )
        return lists.pop()
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    if not classes:
        raise TypeError(
            f"{type(dataset).__name__} names no classes. Set metainfo=dict(classes=('a', 'b', ...)) in its config."
        )
    return (str(classes),) if isinstance(classes, str) else tuple(map(str, classes))


def is_detection(dataset: Any) -> bool:
    """Whether the records of an unwrapped data set hold objects (``instances``)."""
    return 'instances' in first_record(dataset)


def counts_by_place(dataset: Any) -> bool:
    """Whether an unwrapped data set holds windows of large rasters, whose labels are counted by place."""
    return hasattr(dataset, 'label_scan')


def holds_points(dataset: Any) -> bool:
    """Whether a data set, or what it wraps, holds point clouds with labels of points."""
    return all(hasattr(leaf, 'point_format') for leaf in leaves(dataset))


def label_format(dataset: Any) -> LabelFormat:
    """How the label files of an (unwrapped) segmentation data set become class indices.

    From its class list, ``ignore_index``, the ``label_map`` and ``reduce_zero_label`` of its records, and the palette
    of ``imbdense.LoadSegMask`` in its pipeline. Where ``imbdense.LoadGeoTiffWindow`` loads, label nodata is ignored
    (that of the image is not known to the count). Data sets of pairs (``change_format``) and of clouds
    (``point_format``) say it themselves.
    """
    for name in ('change_format', 'point_format'):
        if isinstance(getattr(dataset, name, None), LabelFormat):
            return getattr(dataset, name)  # type: ignore[no-any-return]
    first = first_record(dataset) if len(dataset) else {}
    transforms = getattr(getattr(dataset, 'pipeline', None), 'transforms', None) or ()
    palettes = [t.palette for t in transforms if type(t).__name__ == 'LoadSegMask' and t.palette]
    return LabelFormat.of(
        dataset_classes(dataset),
        ignore_index=int(getattr(dataset, 'ignore_index', 255)),
        reduce_zero_label=bool(first.get('reduce_zero_label', False)),
        label_map=first.get('label_map'),
        palette=palettes[0] if palettes else (),
        nodata_ignored=any(type(t).__name__ == 'LoadGeoTiffWindow' for t in transforms),
    )


def label_files(dataset: Any) -> list[str]:
    """The label file of every index of an (unwrapped) segmentation data set; of clouds the file of the points.

    Raises:
        TypeError: a record has no ``seg_map_path``.
    """
    files = [info.get('seg_map_path') or info.get('points_path') for info in records_of(dataset)]
    if any(file is None for file in files):
        raise TypeError(f'{type(dataset).__name__}: no seg_map_path for index {files.index(None)}; it has no labels.')
    return files


def split_name(dataset: Any) -> str:
    """Stem of the split file, else the name of a split of clouds, '' when the folder itself is the split; names
    ``class_counts_<name>.json``."""
    ann_file = getattr(dataset, 'ann_file', '') or ''
    if os.path.isfile(ann_file):
        return Path(ann_file).stem
    return dataset.split if hasattr(dataset, 'point_format') else ''


def label_root(dataset: Any) -> str | None:
    """The folder that the cache and the counts of an (unwrapped) segmentation data set belong to; ``None`` = the
    deepest common one of its label files."""
    prefix = getattr(dataset, 'data_prefix', None) or {}
    folder = prefix.get('seg_map_path') or (getattr(dataset, 'data_root', None) if holds_points(dataset) else None)
    inside = folder and all(
        os.path.abspath(file).startswith(os.path.abspath(folder) + os.sep) for file in label_files(dataset))
    return folder if inside else None


def records_of(dataset: Any) -> Sequence[dict[str, Any]]:
    """All records; those that are not serialised are read in place, without the deep copy of get_data_info."""
    if not getattr(dataset, 'serialize_data', True) and len(getattr(dataset, 'data_list', ())) == len(dataset):
        return dataset.data_list
    return [dataset.get_data_info(index) for index in range(len(dataset))]


def first_record(dataset: Any) -> dict[str, Any]:
    """The record of index 0."""
    return dataset.get_data_info(0)
