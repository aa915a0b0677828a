"""The score of the xView2 challenge: where are buildings, and how badly are they damaged.

Source: Gupta et al., "xBD: A Dataset for Assessing Building Damage from Satellite Imagery" (2019, arXiv 1911.09296);
rules of the challenge: DIUx-xView/xView2_scoring.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbdense.core.metrics.change_scores import HistogramSums, class_scores

DAMAGE = 4
SMALL = 1e-6


def xview2_scores(location: NDArray[np.int64], damage: NDArray[np.int64]) -> dict[str, float]:
    """``F1_loc``, ``F1_1 ... F1_4``, ``F1_dam`` = 4 / sum_k 1 / (F1_k + 1e-6), ``score`` = 0.3 F1_loc + 0.7 F1_dam.

    Args:
        location: (2, 2) building or not, rows = prediction.
        damage: (5, 5) levels, rows = prediction, 0 = no building; counted where the label is a level, so column 0 is
            empty.

    A level that is labelled but never found has F1 = 0 and pulls ``F1_dam`` down to about 4e-6: that is the rule. A
    level that no pixel is labelled with cannot be found: its F1 is NaN and the harmonic mean is over the others.
    (The challenge's code counts it as 0; its test set holds all four.)
    """
    f1_loc = float(class_scores(HistogramSums.of(location))['F1'][1])
    sums = HistogramSums.of(damage)
    f1 = np.where(sums.labelled > 0, class_scores(sums)['F1'], np.nan)[1:]
    held = f1[~np.isnan(f1)]
    f1_dam = float(held.size / np.sum(1.0 / (held + SMALL))) if held.size else float('nan')
    levels = {f'F1_{level}': float(value) for level, value in enumerate(f1, start=1)}
    return {'F1_loc': f1_loc, **levels, 'F1_dam': f1_dam, 'score': 0.3 * f1_loc + 0.7 * f1_dam}
