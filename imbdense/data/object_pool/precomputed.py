"""Pools of features that were made elsewhere: one row per annotation of a COCO json."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from imbdense.data.object_pool.layout import PoolError
from imbdense.data.object_pool.records import PoolImage
from imbdense.data.object_pool.writer import PoolWriter
from imbdense.data.readers.detection import DetectionAnnotations


def open_features(path: str | os.PathLike[str], annotations: DetectionAnnotations) -> NDArray[np.floating]:
    """Memory map of a file (N, D), row i for annotation i of the json, also for those that are left out.

    Raises:
        PoolError: no NumPy file, an archive (.npz), or of another shape or type; it is named.
    """
    try:
        features = np.load(path, mmap_mode='r', allow_pickle=False)
    except (OSError, ValueError) as error:
        raise PoolError(f'{path} is no array of NumPy ({error}). Write one with np.save.') from error
    if not isinstance(features, np.ndarray):
        raise PoolError(f'{path} is an archive of the arrays {features.files}. Write the one with the features by '
                        f'itself: np.save("features.npy", archive[NAME]).')
    wanted = annotations.entries
    fits = features.ndim == 2 and len(features) == wanted and features.shape[1] > 0
    if not fits or not np.issubdtype(features.dtype, np.floating):
        raise PoolError(f'{path} holds {features.dtype} of shape {features.shape}, expected floating point ({wanted}, '
                        f'D): one row per annotation of {annotations.source}.')
    return features


def add_precomputed(
    writer: PoolWriter,
    annotations: DetectionAnnotations,
    features: NDArray[np.floating],
    cost: Sequence[float],
    group: Sequence[int],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Add the images of ``annotations`` that ``writer`` still misses; crowd boxes are left out.

    Args:
        features: of :func:`open_features`. cost, group: (M,) of the images. progress: called with (done, to do).
    """
    todo = writer.missing()
    with writer:
        for number, image in enumerate(todo):
            rows = np.array(annotations.objects_of(image), np.int64)
            rows = rows[~annotations.crowd[rows]]
            writer.add(image, PoolImage(
                annotations.labels[rows], annotations.score[rows], annotations.boxes[rows], annotations.area[rows],
                np.asarray(features[annotations.entry[rows]], np.float32), cost=cost[image], group=group[image],
            ))  # fmt: skip
            if progress is not None:
                progress(number + 1, len(todo))
