"""Geometry of classifiers and features: fixed frames, normalised classifiers, learning without labels."""

from imbdense.core.representation.frames import (
    FRAMES,
    batch_balanced_lengths,
    class_balanced_lengths,
    fixed_frame,
    general_orthogonal_frame,
    orthogonal_frame,
    simplex_etf,
)
from imbdense.core.representation.key_queue import KeyQueue
from imbdense.core.representation.pretext_labels import JIGSAW_ORDERS, balanced_labels, jigsaw_tiles, rotate_images
from imbdense.core.representation.tau_norm import tau_normalize
from imbdense.core.representation.view_agreement import (
    embedding_spread,
    info_nce,
    match_locations,
    negative_cosine,
)

__all__ = [
    'FRAMES',
    'JIGSAW_ORDERS',
    'KeyQueue',
    'balanced_labels',
    'batch_balanced_lengths',
    'class_balanced_lengths',
    'embedding_spread',
    'fixed_frame',
    'general_orthogonal_frame',
    'info_nce',
    'jigsaw_tiles',
    'match_locations',
    'negative_cosine',
    'orthogonal_frame',
    'rotate_images',
    'simplex_etf',
    'tau_normalize',
]
