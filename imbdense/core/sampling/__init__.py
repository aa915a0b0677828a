"""Which image comes when, and where to crop it.

Index streams of samplers are pure functions of (seed, epoch, rank, number of ranks):

* :class:`IndexStream`         - one epoch, one rank's part of it, or an endless stream with O(1) resume;
* :class:`RepeatFactorStream`  - images with rare classes more often (:func:`repeat_factors`), rounded stochastically;
* :class:`ClassAwareStream`    - a set share of the draws for every class (equal, or n ** power), capped, with a share
  of background images;
* :class:`ProgressiveStream`   - from uniform to class-balanced over the epochs;
* :class:`TwoStream`           - batches of labelled and unlabelled images in a fixed ratio;
* :class:`RateStream`          - any expected draws per image: :func:`oversampling_factors`, :func:`keep_rates`.

:func:`sampling_effect` tells what a stream leaves of the imbalance. :func:`imbalanced_subset`, :func:`balanced_subset`
and :func:`target_subset` choose images once and for all. Inside an image, :func:`pixel_weights` and
:func:`draw_class_balanced` balance pixels and samples of a detector.

Instead of images, features can be drawn: :class:`FeatureQueue` keeps the last of each class,
:class:`FeatureGaussians` makes new ones.

Crops are pure functions of a generator: :func:`draw_class`, :func:`draw_pixel`, :func:`place_window`.
"""

from imbdense.core.sampling.class_aware import ClassAwareStream
from imbdense.core.sampling.class_features import ClassFeatures, DrawnFeatures
from imbdense.core.sampling.crop import class_histogram, draw_class, draw_pixel, map_position, place_window
from imbdense.core.sampling.effect import SamplingEffect, sampling_effect
from imbdense.core.sampling.feature_gaussians import FeatureGaussians
from imbdense.core.sampling.feature_queue import FeatureQueue
from imbdense.core.sampling.labelled_draw import draw_labelled
from imbdense.core.sampling.oversample import oversampling_factors
from imbdense.core.sampling.pixels import pixel_factors, pixel_weights
from imbdense.core.sampling.progressive import ProgressiveStream
from imbdense.core.sampling.rates import RateStream, round_stochastically
from imbdense.core.sampling.repeat_factor import RepeatFactorStream, class_frequencies, repeat_factors
from imbdense.core.sampling.rois import draw_class_balanced
from imbdense.core.sampling.streams import IndexStream, epoch_generator, rank_slice
from imbdense.core.sampling.subset import Subset, balanced_subset, imbalance_profile, imbalanced_subset
from imbdense.core.sampling.target_shares import target_subset
from imbdense.core.sampling.two_stream import TwoStream
from imbdense.core.sampling.undersample import keep_rates

__all__ = [
    'ClassAwareStream',
    'ClassFeatures',
    'DrawnFeatures',
    'FeatureGaussians',
    'FeatureQueue',
    'IndexStream',
    'ProgressiveStream',
    'RateStream',
    'RepeatFactorStream',
    'SamplingEffect',
    'Subset',
    'TwoStream',
    'balanced_subset',
    'class_frequencies',
    'class_histogram',
    'draw_class',
    'draw_class_balanced',
    'draw_labelled',
    'draw_pixel',
    'epoch_generator',
    'imbalance_profile',
    'imbalanced_subset',
    'keep_rates',
    'map_position',
    'oversampling_factors',
    'pixel_factors',
    'pixel_weights',
    'place_window',
    'rank_slice',
    'repeat_factors',
    'round_stochastically',
    'sampling_effect',
    'target_subset',
]
