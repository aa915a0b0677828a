"""Random oversampling: repeat images until every class occurs equally often, as far as their images allow it.

Buda, Maki, Mazurowski: A systematic study of the class imbalance problem in convolutional neural networks. Neural
Networks 106, 2018. There an image has one class and is repeated until the class has as many as the largest. An image
with several classes can not be repeated for one of them alone; here the repeat counts are fitted to all classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from imbdense.core.checks import check_number
from imbdense.core.stats import ImageClassTable

STEP, ITERATIONS, SETTLED = 0.5, 200, 1e-3
"""Step size and most iterations of the fit, and the largest change of log q at which it has ended."""


def oversampling_factors(
    table: ImageClassTable, level: float = 1.0, max_repeat: float = 50.0
) -> NDArray[np.float64]:
    """Return (I,) repeat factors q in [1, max_repeat] that make the class amounts as equal as possible.

    With X[i, c] the amount of class c in image i, s_c = sum_i q_i X[i, c] and t_c = n_c ** (1 - level) the wanted
    proportions (level 1: equal amounts; 0: the amounts n_c as they are), the sum over classes of
    (log(s_c / t_c) - mean)^2 is lowered by projected gradient steps in log q::

        d_c = mean(log s / t) - log(s_c / t_c)                        what class c lacks, in log
        q_i <- clip(q_i * exp(0.5 * sum_c a_ic d_c), 1, max_repeat),  a_ic = (X[i, c] / s_c) / sum_k (X[i, k] / s_k)

    The weights a_ic compare the classes of an image by their share of the *class*: by their share of the image, an
    image of 99 % background would count as background, and no image with a small rare object would ever be repeated.

    Images without classes have factor 1; classes without images influence nothing. Full balance is reached only where
    the classes occur in different images; :func:`imbdense.core.sampling.sampling_effect` tells what was reached.
    Deterministic. Cost: three sparse products per iteration, seconds for 10^5 images.

    Args:
        table: amounts per image and class.
        level: how much of the imbalance to remove, in [0, 1].
        max_repeat: most repeats of an image, >= 1.
    """
    level = check_number('level', level, low=0.0, high=1.0)
    max_repeat = check_number('max_repeat', max_repeat, low=1.0)
    present = np.flatnonzero(table.totals)
    factors = np.ones(len(table))
    if present.size < 2 or level == 0:
        return factors
    amounts = csr_array(
        (table.amounts.astype(np.float64), table.classes, table.indptr), shape=(len(table), table.num_classes)
    )
    by_class = amounts.T.tocsr()
    wanted = (1.0 - level) * np.log(table.totals[present])
    lack, inverse = np.zeros(table.num_classes), np.zeros(table.num_classes)
    for _ in range(ITERATIONS):
        drawn = (by_class @ factors)[present]
        excess = np.log(drawn) - wanted
        lack[present], inverse[present] = excess.mean() - excess, 1.0 / drawn
        share = amounts @ inverse
        step = np.divide(amounts @ (lack * inverse), share, out=np.zeros_like(share), where=share > 0)
        before, factors = factors, np.clip(factors * np.exp(STEP * step), 1.0, max_repeat)
        if np.abs(np.log(factors / before)).max() < SETTLED:
            break
    return factors
