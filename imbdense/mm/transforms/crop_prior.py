"""What class distribution do crops leave? Estimated by cropping annotations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from imbdense.core.sampling import ClassAwareStream
from imbdense.core.stats import ImageClassTable

IMAGES, CROPS = 200, 1600
"""Most images whose annotations are read, and crops of all: some seconds, some percent of error for a rare class."""

Label = TypeVar('Label')
Amounts = tuple[NDArray[np.int64], NDArray[Any]]
"""(classes, how much of each)."""


def expected_crop_amounts(
    context: Any,
    load: Callable[[int], Label],
    crop: Callable[[Label, np.random.Generator], Label],
    amounts: Callable[[Label], Amounts],
    crops: int = CROPS,
) -> NDArray[np.float64]:
    """Return (C,) expected amounts per class and epoch when every drawn image is cropped once.

    E_c = given_c * (amount of c in crops) / (amount of c in the images), over up to 200 images: the totals ``given``
    are known exactly from the table, so only the share that a crop keeps is estimated (a ratio estimator). Half of
    the images are chosen as the sampler draws images, half class by class, so that classes in few images are seen as
    well; each is weighted by draws_i / its chance. A class that is never seen keeps the share of all.

    The annotations are those the crop's predecessors hand on, without a random resize between loading and crop.

    Args:
        context: an ``imbdense.mm.prior.PriorContext`` (table, draws, seed).
        load: index -> annotation of that image.
        crop: cuts one crop from an annotation with a generator.
        amounts: pixels or objects per class in an annotation.
        crops: of all images together; every image gets at least one, which is enough where nothing is drawn.
    """
    table, draws = context.table, np.asarray(context.draws, dtype=np.float64)
    rng = np.random.default_rng(np.random.SeedSequence([int(context.seed), 0xC20B]))
    chosen, weights = _images_to_read(table, draws, rng)
    whole, cropped = np.zeros(table.num_classes), np.zeros(table.num_classes)
    each = -(-crops // max(chosen.size, 1))
    for image, weight in zip(chosen.tolist(), weights):
        label = load(image)
        _add(whole, amounts(label), weight)
        for _ in range(each):
            _add(cropped, amounts(crop(label, rng)), weight / each)
    overall = cropped.sum() / max(whole.sum(), 1e-12)
    kept = np.where(whole > 0, cropped / np.where(whole > 0, whole, 1.0), overall)
    return table.expected_totals(draws) * kept


def _images_to_read(
    table: ImageClassTable, draws: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Which images to read, and the weight of each."""
    if len(table) <= IMAGES:
        return np.flatnonzero(draws), draws[draws > 0]
    by_class = ClassAwareStream(table).draw_rates()
    chance = 0.5 * draws / draws.sum() + 0.5 * by_class / by_class.sum()
    chosen = rng.choice(len(table), size=IMAGES, p=chance)
    return chosen, draws[chosen] / chance[chosen]


def _add(total: NDArray[np.float64], found: Amounts, weight: float) -> None:
    """Add the weighted amounts of one annotation; classes outside the table (ignored values) count nothing."""
    classes, amount = found
    known = (classes >= 0) & (classes < total.size)
    np.add.at(total, classes[known], amount[known] * weight)
