"""Scores of a series of land-cover maps: was the change seen, and was what came of it named rightly.

Source: Toker et al., "DynamicEarthNet: Daily Multi-Spectral Satellite Dataset for Semantic Change Segmentation" (CVPR
2022, arXiv 2203.12560).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbdense.core.metrics.change_scores import HistogramSums, class_scores
from imbdense.core.metrics.groups import mean_present


def series_scores(binary: NDArray[np.int64], semantic: NDArray[np.int64]) -> dict[str, float]:
    """``BC, SC, SCS`` = binary change, semantic change, and their mean.

    Args:
        binary: (2, 2) changed since the date before or not, rows = prediction.
        semantic: (S, S) land cover at the later date of the pixels that truly changed, rows = prediction.

    BC = IoU of the change class. SC = mean IoU over the classes that changed pixels are labelled with. NaN where
    nothing changed on either side (BC) or in the labels (SC).
    """
    bc = float(class_scores(HistogramSums.of(binary))['IoU'][1])
    sums = HistogramSums.of(semantic)
    iou = np.where(sums.labelled > 0, class_scores(sums)['IoU'], np.nan)
    sc = mean_present(iou)
    return {'BC': bc, 'SC': sc, 'SCS': (bc + sc) / 2}
