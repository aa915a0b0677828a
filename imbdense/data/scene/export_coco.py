"""COCO instance annotations from semantic and instance images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene.classes import ClassMapping


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """Return the uncompressed COCO RLE counts of ``mask`` (H, W): column-major runs, the first one of zeros."""
    flat = mask.ravel(order='F')
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    bounds = np.concatenate([[0], edges, [flat.size]])
    counts = np.diff(bounds).tolist()
    return [0, *counts] if flat.size and flat[0] else counts


def image_annotations(semantic: NDArray[np.uint8], instance: NDArray[np.uint16], mapping: ClassMapping,
                      categories: dict[int, int], image_id: int, first_id: int, min_area: int = 4
                      ) -> list[dict[str, Any]]:
    """Return the annotations of one image.

    ``semantic`` holds raw class ids. An instance's class is the training class of most of its pixels; pixels of other
    classes (windows of a building) stay in its mask when they map to the same training class. ``categories`` maps
    training ids of things to COCO category ids; instances of other classes are left out, and so are fragments of fewer
    than ``min_area`` pixels. Boxes are [x, y, width, height] in pixels, ``area`` counts pixels.
    """
    from scipy.ndimage import find_objects

    training = mapping.table()[semantic]
    annotations: list[dict[str, Any]] = []
    height, width = semantic.shape
    for number, window in enumerate(find_objects(instance.astype(np.int32)), start=1):
        if window is None:
            continue
        inside = instance[window] == number
        label = int(np.argmax(np.bincount(training[window][inside], minlength=256)))
        if label not in categories:
            continue
        inside &= training[window] == label
        area = int(inside.sum())
        if area < min_area:
            continue
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        top, left = window[0].start + int(rows[0]), window[1].start + int(columns[0])
        full = np.zeros((height, width), bool)
        full[window] = inside
        annotations.append({
            'id': first_id + len(annotations), 'image_id': image_id, 'category_id': categories[label],
            'bbox': [left, top, int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1], 'area': area,
            'iscrowd': 0, 'segmentation': {'size': [height, width], 'counts': run_lengths(full)}, 'instance': number})
    return annotations
