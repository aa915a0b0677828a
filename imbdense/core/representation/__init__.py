"""Geometry of classifiers and features: fixed frames, features per region, classifiers normalised after training."""

from imbdense.core.representation.frames import (
    FRAMES,
    batch_balanced_lengths,
    class_balanced_lengths,
    fixed_frame,
    general_orthogonal_frame,
    orthogonal_frame,
    simplex_etf,
)
from imbdense.core.representation.regions import cell_class_counts, class_means, draw_per_group, region_means
from imbdense.core.representation.tau_norm import tau_normalize

__all__ = [
    'FRAMES',
    'batch_balanced_lengths',
    'cell_class_counts',
    'class_balanced_lengths',
    'class_means',
    'draw_per_group',
    'fixed_frame',
    'general_orthogonal_frame',
    'orthogonal_frame',
    'region_means',
    'simplex_etf',
    'tau_normalize',
]
