"""What class distribution do crops leave? Estimated by cropping label files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.sampling import ClassAwareStream, class_histogram
from imbdense.core.stats import ImageClassTable

LABELS, CROPS = 200, 1600
"""Most labels that are read and crops taken of all: some seconds of work, some percent of error for a rare class."""


def expected_crop_pixels(
    context: Any, crop: Callable[[NDArray[np.integer], np.random.Generator], NDArray[np.integer]]
) -> NDArray[np.float64]:
    """Return (C,) expected amounts per class and epoch when every drawn image is cropped once.

    E_c = given_c * (pixels of c in crops) / (pixels of c in the labels), over up to 200 labels: the totals ``given``
    are known exactly from the table, so only the share that a crop keeps is estimated (a ratio estimator). Half of
    the labels are chosen as the sampler draws images, half class by class, so that classes in few images are seen as
    well; each is weighted by draws_i / its chance. A class that is never seen keeps the share of all pixels.

    The labels are those the crop's predecessors hand on, without a random resize between loading and crop.

    Args:
        context: an ``imbdense.mm.prior.PriorContext`` (table, draws, load_label, seed).
        crop: cuts one crop from a label (H, W) with a generator.
    """
    table, draws = context.table, np.asarray(context.draws, dtype=np.float64)
    rng = np.random.default_rng(np.random.SeedSequence([int(context.seed), 0xC20B]))
    chosen, weights = _labels_to_read(table, draws, rng)
    whole, cropped = np.zeros(table.num_classes), np.zeros(table.num_classes)
    crops = -(-CROPS // max(chosen.size, 1))
    for image, weight in zip(chosen.tolist(), weights):
        label = context.load_label(image)
        _add_pixels(whole, label, weight)
        for _ in range(crops):
            _add_pixels(cropped, crop(label, rng), weight / crops)
    overall = cropped.sum() / max(whole.sum(), 1e-12)
    kept = np.where(whole > 0, cropped / np.where(whole > 0, whole, 1.0), overall)
    return table.expected_totals(draws) * kept


def _labels_to_read(
    table: ImageClassTable, draws: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Which labels to read, and the weight of each."""
    if len(table) <= LABELS:
        return np.flatnonzero(draws), draws[draws > 0]
    by_class = ClassAwareStream(table).draw_rates()
    chance = 0.5 * draws / draws.sum() + 0.5 * by_class / by_class.sum()
    chosen = rng.choice(len(table), size=LABELS, p=chance)
    return chosen, draws[chosen] / chance[chosen]


def _add_pixels(amounts: NDArray[np.float64], label: NDArray[np.integer], weight: float) -> None:
    """Add the weighted histogram of one label."""
    classes, pixels = class_histogram(label, -1)
    known = classes < amounts.size
    np.add.at(amounts, classes[known], pixels[known] * weight)
