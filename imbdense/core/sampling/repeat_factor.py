"""Repeat-factor sampling: draw an image more often when it holds a class that few images hold.

Gupta, Dollar, Girshick: LVIS: A Dataset for Large Vocabulary Instance Segmentation. CVPR 2019 (r = sqrt(t / f)).
Yaman et al.: Instance-Aware Repeat Factor Sampling for Long-Tailed Object Detection. ML4H 2023 (geometric frequency).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_choice, check_number
from imbdense.core.sampling.rates import RateStream
from imbdense.core.stats import ImageClassTable

Frequency = Literal['image', 'instance', 'geometric']


def class_frequencies(table: ImageClassTable, frequency: Frequency = 'image') -> NDArray[np.float64]:
    """Return (C,) frequencies f in [0, 1].

    * ``'image'``: images that hold the class / images;
    * ``'instance'``: amount of the class (objects or pixels) / amount of all classes;
    * ``'geometric'``: sqrt(image * instance), rare in either sense counts.

    A class without a sample has frequency 0, also in an empty table.
    """
    check_choice('frequency', frequency, get_args(Frequency))
    by_image = table.image_counts / max(len(table), 1)
    if frequency == 'image':
        return by_image
    by_instance = table.totals / max(int(table.totals.sum()), 1)
    return by_instance if frequency == 'instance' else np.sqrt(by_image * by_instance)


def repeat_factors(
    table: ImageClassTable, threshold: float | Literal['auto'] = 'auto', frequency: Frequency = 'image'
) -> NDArray[np.float64]:
    """Return (I,) repeat factors r_I = max over the classes c of image I of r_c, r_c = max(1, sqrt(t / f_c)).

    Args:
        table: which image holds how much of which class.
        threshold: t in (0, 1]; a class rarer than t is oversampled. ``'auto'`` takes the median frequency of the
            classes that occur, so that half of them are lifted whatever the data set.
        frequency: what f counts, see :func:`class_frequencies`.

    An image without classes has factor 1. A class without images has no factor and influences nothing.
    """
    rates = class_frequencies(table, frequency)
    present = rates > 0
    if threshold == 'auto':
        limit = float(np.median(rates[present])) if present.any() else 1.0
    else:
        limit = check_number('threshold', threshold, low=0.0, high=1.0, low_open=True)
    per_class = np.ones(table.num_classes)
    per_class[present] = np.maximum(1.0, np.sqrt(limit / rates[present]))
    factors = np.ones(len(table))
    np.maximum.at(factors, table.entry_images, per_class[table.classes])
    return factors


class RepeatFactorStream(RateStream):
    """Every image floor(r) or ceil(r) times per epoch, decided anew each epoch; see :class:`RateStream`.

    Args:
        factors: (I,) repeat factors >= 1, from :func:`repeat_factors`.

    Raises:
        ValueError: no image, or a factor below 1 or not finite.
    """

    def __init__(self, factors: NDArray[np.float64]) -> None:
        super().__init__(factors, low=1.0)
