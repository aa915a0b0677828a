"""Labels a model made itself: which to trust, and how to correct their class distribution.

Rules, ``rule(probs, valid) -> PseudoLabels(label, weight, accepted)`` and ``rule.select(scores, labels)``:

* :class:`FixedThreshold`          - FixMatch, ReDB: one threshold, or one per class;
* :class:`FlexThreshold`           - FlexMatch: lower for classes that are rarely confident;
* :class:`ExpectedShareThreshold`  - the same, relative to how often each class is expected;
* :class:`FreeThreshold`           - FreeMatch: follows the teacher's mean confidence;
* :class:`ClassBalancedThreshold`  - CBST: the same share of every class;
* :class:`QuantileThreshold`       - a share that follows from how often the class is labelled;
* :class:`CReSTQuota`              - CReST: a share that grows with rarity;
* :class:`EntropyPercentile`       - U2PL: drops the least certain pixels;
* :class:`BudgetedThreshold`       - a bound on the share of wrong labels, or abstention.

Refiners, ``refiner(probs, valid, features) -> probs``: :class:`DistributionAlign`, :class:`DARPRefiner`,
:class:`DASOBlender`. Below each class lies a function without state.

Objects and rounds. Nothing here knows boxes from regions: functions take overlaps, or an IoU function.

* :func:`accept`                        - cross-domain examination: what is found again elsewhere is reliable;
* :func:`paste_regions_for_examination` - makes the image that is examined;
* :func:`overlapped_box_count`, :func:`overlapped_region_count` - how ordinary an object is for the model;
* :func:`inverse_density_subsample`     - keeps the unusual ones of a frequent class;
* :class:`ProgressiveQuota`, :class:`EqualDraw` - how many of each class are pasted in a round, and which;
* :class:`MemoryEnsemble`               - pseudo-boxes merged over the rounds;
* :func:`rarely_predicted`              - the classes to be mined for in the next round.
"""

from imbdense.core.pseudo_label.budgeted import (
    Budget,
    BudgetedThreshold,
    budgeted_thresholds,
    clopper_pearson_upper,
)
from imbdense.core.pseudo_label.class_balanced import (
    ClassBalancedThreshold,
    class_balanced_labels,
    lrent_soft_labels,
)
from imbdense.core.pseudo_label.crest import CReSTQuota, crest_rates
from imbdense.core.pseudo_label.darp import apply_duals, darp_denoise, darp_duals, darp_refine
from imbdense.core.pseudo_label.darp_refiner import DARPRefiner
from imbdense.core.pseudo_label.daso import DASOBlender, daso_blend, prototype_probs
from imbdense.core.pseudo_label.distribution_align import DistributionAlign, align_distribution, tempered_prior
from imbdense.core.pseudo_label.entropy_percentile import EntropyPercentile, confidence_of_entropy, masked_percentile
from imbdense.core.pseudo_label.examination import ExaminedScene, accept, paste_regions_for_examination
from imbdense.core.pseudo_label.expected_share import ExpectedShareThreshold, expected_share_thresholds
from imbdense.core.pseudo_label.fixed import FixedThreshold
from imbdense.core.pseudo_label.flex import FlexThreshold, flex_thresholds
from imbdense.core.pseudo_label.free import FreeThreshold, free_thresholds
from imbdense.core.pseudo_label.free_fairness import free_fairness
from imbdense.core.pseudo_label.inverse_density import count_density, inverse_density, inverse_density_subsample
from imbdense.core.pseudo_label.labeler import PseudoLabeler, PseudoLabels
from imbdense.core.pseudo_label.memory import MemoryEnsemble, RememberedBoxes
from imbdense.core.pseudo_label.overlap_count import overlapped_box_count, overlapped_region_count
from imbdense.core.pseudo_label.paste_masks import paste_masks
from imbdense.core.pseudo_label.quantile import QuantileThreshold, class_adaptive_portions, labelled_frequency_ranks
from imbdense.core.pseudo_label.quota import EqualDraw, ProgressiveQuota, round_of_epoch
from imbdense.core.pseudo_label.rank_threshold import portion_ranks, rank_thresholds, with_fallback
from imbdense.core.pseudo_label.rare_classes import rarely_predicted
from imbdense.core.pseudo_label.refiner import Refiner
from imbdense.core.pseudo_label.regions import pool_regions, refine_by_regions
from imbdense.core.pseudo_label.target_prior import TargetPrior

__all__ = [
    'Budget',
    'BudgetedThreshold',
    'CReSTQuota',
    'ClassBalancedThreshold',
    'DARPRefiner',
    'DASOBlender',
    'DistributionAlign',
    'EntropyPercentile',
    'EqualDraw',
    'ExaminedScene',
    'ExpectedShareThreshold',
    'FixedThreshold',
    'FlexThreshold',
    'FreeThreshold',
    'MemoryEnsemble',
    'ProgressiveQuota',
    'PseudoLabeler',
    'PseudoLabels',
    'QuantileThreshold',
    'Refiner',
    'RememberedBoxes',
    'TargetPrior',
    'accept',
    'align_distribution',
    'apply_duals',
    'budgeted_thresholds',
    'class_adaptive_portions',
    'class_balanced_labels',
    'clopper_pearson_upper',
    'confidence_of_entropy',
    'count_density',
    'crest_rates',
    'darp_denoise',
    'darp_duals',
    'darp_refine',
    'daso_blend',
    'expected_share_thresholds',
    'flex_thresholds',
    'free_fairness',
    'free_thresholds',
    'inverse_density',
    'inverse_density_subsample',
    'labelled_frequency_ranks',
    'lrent_soft_labels',
    'masked_percentile',
    'overlapped_box_count',
    'overlapped_region_count',
    'paste_masks',
    'paste_regions_for_examination',
    'pool_regions',
    'portion_ranks',
    'prototype_probs',
    'rank_thresholds',
    'rarely_predicted',
    'refine_by_regions',
    'round_of_epoch',
    'tempered_prior',
    'with_fallback',
]
