"""Class statistics of any mmseg or mmdet data set object, also of foreign configs, without loading an image.

Segmentation labels are counted through the cache of :mod:`imbdense.data.scan`, those of point clouds as well: a cloud
counts as a label image, its points as pixels. Of windows of large rasters the part of the place they lie in is counted,
block by block. The objects of a detection data set are in memory already. Wrappers (Concat, Repeat, ClassBalanced,
MultiImageMix, torch's Subset) are seen through: index i of a table is index i of the data set that was given.

On several ranks every rank may call these functions: the first one counts while the others wait for its cache (a file
lock; nothing is communicated).
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.stats import ClassCounts, ImageClassTable
from imbdense.data.readers.labels import LabelFormat
from imbdense.data.scan import PixelIndex, ScanResult, scan_labels
from imbdense.data.scan.instances import InstanceRecords
from imbdense.data.scan.records import LabelRecords
from imbdense.data.scan.result import summarise
from imbdense.data.scan.worker import ScanSettings
from imbdense.mm.dataset_wrappers import children, is_uncounted_part, leaves, own_indices, sample_file
from imbdense.mm.datasets.label_source import (
    counts_by_place,
    dataset_classes,
    first_record,
    holds_points,
    label_files,
    label_format,
    label_root,
    records_of,
    split_name,
)

_memory: weakref.WeakKeyDictionary[Any, tuple[int, ScanResult | InstanceRecords]] = weakref.WeakKeyDictionary()


def class_counts(dataset: Any) -> ClassCounts:
    """Counts per class: pixels, regions, images (segmentation); pixels = points and images = scenes (clouds);
    instances, images (detection); with co-occurrence, and object sizes where there are any. An image that a wrapper
    repeats counts as often as it comes in one epoch.

    Raises:
        TypeError: the data set is neither a segmentation nor a detection data set, or names no classes.
        LabelReadError: a label file is missing, broken, or holds values that are no class.
        ValueError: it is empty, or joined data sets have different class lists.
    """
    found = dataset_statistics(dataset)
    return found.counts if isinstance(found, ScanResult) else found.counts(dataset_classes(dataset))


def class_table(dataset: Any) -> ImageClassTable:
    """Pixels (segmentation) or objects (detection) per image and class; row i is index i of ``dataset``.

    Raises: as :func:`class_counts`; ``TypeError`` for windows of rasters that are drawn, which no index chooses.
    """
    if any(map(counts_by_place, leaves(dataset))):
        if not counts_by_place(dataset):
            raise TypeError(f'{type(dataset).__name__} joins windows of rasters; there is no table of them.')
        return dataset.window_scan().table  # type: ignore[no-any-return]
    found = dataset_statistics(dataset)
    return found.table if isinstance(found, ScanResult) else found.table(len(dataset_classes(dataset)))


def pixel_index(dataset: Any) -> PixelIndex:
    """Up to 64 drawn label positions per image and class of a segmentation data set.

    Raises: as :func:`class_counts`; ``TypeError`` for detection.
    """
    found = dataset_statistics(dataset)
    if not isinstance(found, ScanResult):
        raise TypeError(f'{type(dataset).__name__} holds boxes, not label masks; there is no pixel index of it.')
    if any(map(counts_by_place, leaves(dataset))):
        raise TypeError(f'{type(dataset).__name__} draws its windows itself; there is no pixel index of it. Use '
                        f"windows=dict(type='imbdense.ClassBalancedWindowSampler').")
    return found.pixel_index


def dataset_statistics(dataset: Any) -> ScanResult | InstanceRecords:
    """What :func:`class_counts` and the others are made of: a :class:`ScanResult` for segmentation, an
    :class:`InstanceRecords` for detection. Its rows are the indices of the data set, but for windows of large rasters,
    where they are blocks of the place.

    Raises: as :func:`class_counts`.
    """
    inner = children(dataset)
    if not inner:
        return _leaf(dataset)
    # Unlabelled images are rows without any class, so that row i stays index i of the data set.
    unlabeled = sum(len(child) for child in inner if is_uncounted_part(dataset, child))
    parts = [dataset_statistics(child) for child in inner if not is_uncounted_part(dataset, child)]
    indices = own_indices(dataset)
    objects = [part for part in parts if isinstance(part, InstanceRecords)]
    scans = [part for part in parts if isinstance(part, ScanResult)]
    if not scans:
        joined = InstanceRecords.concat([*objects, InstanceRecords.of_lists([[]] * unlabeled, [[]] * unlabeled)])
        return joined if indices is None else joined.take(indices)
    if objects:
        raise TypeError(f'{type(dataset).__name__} joins segmentation and detection data sets.')
    dataset_classes(dataset)
    if indices is not None and any(map(counts_by_place, leaves(dataset))):
        raise TypeError(f'{type(dataset).__name__} picks windows of rasters by index, but they are drawn; set '
                        f'num_windows of the data set instead.')
    return _joined(scans, indices, unlabeled)


def _leaf(dataset: Any) -> ScanResult | InstanceRecords:
    """Statistics of an unwrapped data set, remembered as long as it lives and keeps its length."""
    if not hasattr(dataset, 'get_data_info') or not hasattr(dataset, 'metainfo'):
        raise TypeError(f'{type(dataset).__name__} is neither a segmentation nor a detection data set of the hosts.')
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    size = len(dataset)
    if size == 0:
        raise ValueError(f'{type(dataset).__name__} is empty. Check data_root, data_prefix, ann_file and filter_cfg.')
    known = _memory.get(dataset)
    if known is not None and known[0] == size:
        return known[1]
    if counts_by_place(dataset):
        found: ScanResult | InstanceRecords = dataset.label_scan()
        _memory[dataset] = (size, found)
        return found
    first = first_record(dataset)
    if 'instances' in first:
        found = instance_records(records_of(dataset), len(dataset_classes(dataset)))
    elif first.get('seg_map_path') or holds_points(dataset):
        found = scan_dataset(dataset).raise_for_errors()
    else:
        raise TypeError(f'{type(dataset).__name__}: its records hold neither seg_map_path nor instances.')
    _memory[dataset] = (size, found)
    return found


def scan_dataset(dataset: Any, *, regions: bool = True, workers: int | None = None) -> ScanResult:
    """Scan the labels of an unwrapped segmentation data set; broken files are findings, not errors."""
    return scan_labels(
        label_files(dataset),
        label_format(dataset),
        root=label_root(dataset),
        name=split_name(dataset),
        regions=regions,
        positions=64 if regions else 0,
        workers=workers,
        progress=True,
    )


def instance_records(infos: Sequence[dict[str, Any]], num_classes: int) -> InstanceRecords:
    """Objects of mmdet records; those with ``ignore_flag`` (crowd, difficult) are not counted.

    Raises:
        ValueError: a label outside [0, C); the message names the image.
    """
    labels: list[list[int]] = []
    areas: list[list[float]] = []
    ignored = 0
    for info in infos:
        kept = [instance for instance in info['instances'] if not instance.get('ignore_flag', 0)]
        ignored += len(info['instances']) - len(kept)
        labels.append([instance['bbox_label'] for instance in kept])
        areas.append([_area(instance['bbox']) for instance in kept])
        if labels[-1] and not 0 <= min(labels[-1]) <= max(labels[-1]) < num_classes:
            raise ValueError(
                f'{sample_file(info) or "an image"}: {sorted(set(labels[-1]))} not in [0, {num_classes}).'
                f' Does metainfo.classes fit the annotations?'
            )
    return InstanceRecords.of_lists(labels, areas, ignored)


def _joined(parts: list[ScanResult], indices: NDArray[np.int64] | None, unlabeled: int) -> ScanResult:
    """Join the records of several label folders under absolute names, then empty rows, and count them anew."""
    if len(parts) == 1 and indices is None and not unlabeled:
        return parts[0]
    records = LabelRecords.concat(
        [
            replace(part.records, paths=tuple(os.path.join(part.root, path) for path in part.records.paths))
            for part in parts
        ]
        + [LabelRecords.without_labels(unlabeled)]
    )
    chosen = records if indices is None else records.take(indices)
    joined = summarise(chosen, ScanSettings(LabelFormat.of(parts[0].counts.classes)), '', sum(p.fresh for p in parts))
    of_points = all(part.counts.of_points for part in parts)
    return replace(
        joined,
        counts=replace(joined.counts, of_points=of_points),
        findings=tuple(finding for part in parts for finding in part.findings),
    )


def _area(box: Sequence[float]) -> float:
    """Area of (x1, y1, x2, y2), or of the ground that (x, y, z, l, w, h, yaw) covers."""
    if len(box) == 7:
        return float(box[3]) * float(box[4])
    return max(float(box[2]) - float(box[0]), 0.0) * max(float(box[3]) - float(box[1]), 0.0)
