"""Which image comes when, and where to crop it.

Index streams of samplers are pure functions of (seed, epoch, rank, number of ranks):

* :class:`IndexStream`         - one epoch, one rank's part of it, or an endless stream with O(1) resume;
* :class:`RepeatFactorStream`  - images with rare classes more often (:func:`repeat_factors`), rounded stochastically;
* :class:`ClassAwareStream`    - equally many draws for every class, capped, with a share of background images.

Crops are pure functions of a generator: :func:`draw_class`, :func:`draw_pixel`, :func:`place_window`.
"""

from imbdense.core.sampling.class_aware import ClassAwareStream
from imbdense.core.sampling.crop import class_histogram, draw_class, draw_pixel, map_position, place_window
from imbdense.core.sampling.repeat_factor import (
    RepeatFactorStream,
    class_frequencies,
    repeat_factors,
    round_stochastically,
)
from imbdense.core.sampling.streams import IndexStream, epoch_generator, rank_slice

__all__ = [
    'ClassAwareStream',
    'IndexStream',
    'RepeatFactorStream',
    'class_frequencies',
    'class_histogram',
    'draw_class',
    'draw_pixel',
    'epoch_generator',
    'map_position',
    'place_window',
    'rank_slice',
    'repeat_factors',
    'round_stochastically',
]
