"""Geometry of classifiers: fixed frames, and classifiers normalised after training."""

from imbdense.core.representation.frames import (
    FRAMES,
    batch_balanced_lengths,
    class_balanced_lengths,
    fixed_frame,
    general_orthogonal_frame,
    orthogonal_frame,
    simplex_etf,
)
from imbdense.core.representation.tau_norm import tau_normalize

__all__ = [
    'FRAMES',
    'batch_balanced_lengths',
    'class_balanced_lengths',
    'fixed_frame',
    'general_orthogonal_frame',
    'orthogonal_frame',
    'simplex_etf',
    'tau_normalize',
]
