"""What the windows hold that raster data sets draw: measured, for the prior ledger."""

from __future__ import annotations

from typing import Any

import numpy as np

from imbdense.core.stats import ImageClassTable
from imbdense.mm.dataset_wrappers import ImageSubset, leaves
from imbdense.mm.datasets.label_source import counts_by_place, dataset_classes
from imbdense.mm.datasets.statistics import class_table, dataset_statistics
from imbdense.mm.prior import load_label, prior_transforms

WINDOWS = 256
"""Draws of the training that are looked at, evenly spread over it."""
UNIFORM = 'RandomWindowSampler'


def prior_table(dataset: Any, count: int = WINDOWS) -> tuple[ImageClassTable, Any, str | None]:
    """Return the table, the data set and the ``drawer`` that :func:`imbdense.mm.prior.build_ledger` takes.

    Of files the table of all images, and no drawer. Of windows that are drawn from rasters the labels of ``count``
    draws, evenly spread; the data set is then these draws, so that row i is its index i. Windows drawn uniformly hold
    what the area holds, so no drawer is named; and nothing is measured where no transform asks for a table.

    Raises: as :func:`imbdense.mm.datasets.statistics.class_table`.
    """
    drawing = [leaf for leaf in leaves(dataset) if counts_by_place(leaf) and not leaf.test_mode]
    if not drawing:
        return class_table(dataset), dataset, None
    names = sorted({type(leaf.sampler).__name__ for leaf in drawing})
    drawer = None if names == [UNIFORM] else ', '.join(names)
    if drawer is None and next(iter(prior_transforms(dataset)), None) is None:
        return dataset_statistics(dataset).table, dataset, None  # type: ignore[union-attr,return-value]
    chosen = np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int)).tolist()
    size = len(dataset_classes(dataset))
    pixels = [np.bincount(load_label(dataset, index).ravel(), minlength=256)[:size] for index in chosen]
    return ImageClassTable.from_dense(np.array(pixels)), ImageSubset(dataset, chosen), drawer
