"""Random undersampling: draw images of frequent classes less often.

Buda, Maki, Mazurowski: A systematic study of the class imbalance problem in convolutional neural networks. Neural
Networks 106, 2018. Full undersampling throws most of the data away and rarely pays; ``level`` stops in between.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_number
from imbdense.core.stats import ImageClassTable


def keep_rates(table: ImageClassTable, level: float = 1.0) -> NDArray[np.float64]:
    """Return (I,) probabilities p that an image is drawn in an epoch.

    With n_c the amounts (pixels or objects) of the classes that occur::

        n* = n_max ** (1 - level) * n_min ** level
        p_i = min(1, max over classes c of image i of n* / n_c)

    so an image that holds a class of at most n* is always drawn, and an image of frequent classes only as often as the
    rarest of them asks. Images without classes have p = 1. Example: n = (1000, 10), level 0.5: n* = 100, p = (.1, 1).

    Args:
        table: amounts per image and class.
        level: 0 = nothing is dropped, 1 = down to the rarest class.
    """
    level = check_number('level', level, low=0.0, high=1.0)
    totals = table.totals.astype(np.float64)
    rates = np.ones(len(table))
    occurring = totals[totals > 0]
    if occurring.size == 0:
        return rates
    target = occurring.max() ** (1.0 - level) * occurring.min() ** level
    per_class = np.minimum(1.0, target / np.maximum(totals, 1.0))
    labelled = np.diff(table.indptr) > 0
    rates[labelled] = 0.0
    np.maximum.at(rates, table.entry_images, per_class[table.classes])
    return rates
