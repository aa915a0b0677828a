"""After training: what finished outputs can still be made to say, and where they lose the rare class.

* :class:`LogitCalibration`     - what every method does to the logits, with a JSON form;
* :func:`norcal`, :func:`fracal`, :func:`logit_adjust_shift`, :func:`prior_threshold` - shifts from class counts;
* :func:`fit_temperature`, :func:`best_threshold`, :func:`fit_iou_offsets` - fitted on labelled outputs;
* :func:`compare_classifications`, :func:`estimate_transitions`, :class:`PhysicalConstraints` - two land-cover maps
  of one place become a change map;
* :func:`cross_validate`        - whether a fitted parameter helps on images it was not fitted on;
* :func:`class_matches`, :func:`box_errors` - AP over any set of images, and the error types of TIDE;
* :func:`detection_shares`, :func:`segmentation_shares` - what each class lost, split into causes.
"""

from imbdense.core.inference.box_errors import ERROR_TYPES, BoxErrors, box_errors
from imbdense.core.inference.box_matching import average_precision, match_boxes
from imbdense.core.inference.calibration import LogitCalibration, identity_calibration
from imbdense.core.inference.candidates import BoxCandidates, keep_best_places, row_targets
from imbdense.core.inference.cross_validation import HeldOutGain, assign_folds, cross_validate
from imbdense.core.inference.detection_diagnosis import (
    DETECTION_CAUSES,
    Reach,
    detection_shares,
    oracle_classes,
    reach_objects,
    taken_for_table,
)
from imbdense.core.inference.detection_set import (
    ImageDetections,
    ImageObjects,
    class_average_precision,
    class_matches,
    mean_average_precision,
)
from imbdense.core.inference.fractal import box_counting_dimension, fracal, fracal_frequency_shift
from imbdense.core.inference.iou_offsets import fit_iou_offsets
from imbdense.core.inference.likelihood_offsets import likelihood_offsets
from imbdense.core.inference.norcal import norcal, norcal_shift
from imbdense.core.inference.per_class_threshold import best_threshold, one_vs_rest_thresholds, prior_threshold
from imbdense.core.inference.physical_constraints import PhysicalConstraints, TransitionRule, habitalp_rules
from imbdense.core.inference.pixel_sample import PixelSample, draw_pixels
from imbdense.core.inference.post_classification import ChangeMaps, compare_classifications
from imbdense.core.inference.remedies import DETECTION_REMEDIES, SEGMENTATION_REMEDIES, Remedy
from imbdense.core.inference.segmentation_diagnosis import (
    SEGMENTATION_CAUSES,
    recall_by_border,
    recall_by_size,
    segmentation_shares,
)
from imbdense.core.inference.shares import main_causes, pooled, waterfall
from imbdense.core.inference.tau_search import GAMMA_VALUES, LAMBDA_VALUES, TAU_VALUES, best_value, logit_adjust_shift
from imbdense.core.inference.temperature import fit_temperature, negative_log_likelihood
from imbdense.core.inference.transition_prior import (
    PixelPairReservoir,
    TransitionEstimate,
    count_transitions,
    date_agreement,
    estimate_transitions,
    transition_shares,
)
from imbdense.core.inference.weighted_table import table_iou, table_recall, table_score, weighted_confusion

__all__ = [
    'DETECTION_CAUSES',
    'DETECTION_REMEDIES',
    'ERROR_TYPES',
    'GAMMA_VALUES',
    'LAMBDA_VALUES',
    'SEGMENTATION_CAUSES',
    'SEGMENTATION_REMEDIES',
    'TAU_VALUES',
    'BoxCandidates',
    'BoxErrors',
    'ChangeMaps',
    'HeldOutGain',
    'ImageDetections',
    'ImageObjects',
    'LogitCalibration',
    'PhysicalConstraints',
    'PixelPairReservoir',
    'PixelSample',
    'Reach',
    'Remedy',
    'TransitionEstimate',
    'TransitionRule',
    'assign_folds',
    'average_precision',
    'best_threshold',
    'best_value',
    'box_counting_dimension',
    'box_errors',
    'class_average_precision',
    'class_matches',
    'compare_classifications',
    'count_transitions',
    'cross_validate',
    'date_agreement',
    'detection_shares',
    'draw_pixels',
    'estimate_transitions',
    'fit_iou_offsets',
    'fit_temperature',
    'fracal',
    'fracal_frequency_shift',
    'habitalp_rules',
    'identity_calibration',
    'keep_best_places',
    'likelihood_offsets',
    'logit_adjust_shift',
    'main_causes',
    'match_boxes',
    'mean_average_precision',
    'negative_log_likelihood',
    'norcal',
    'norcal_shift',
    'one_vs_rest_thresholds',
    'oracle_classes',
    'pooled',
    'prior_threshold',
    'reach_objects',
    'recall_by_border',
    'recall_by_size',
    'row_targets',
    'segmentation_shares',
    'table_iou',
    'table_recall',
    'table_score',
    'taken_for_table',
    'transition_shares',
    'waterfall',
    'weighted_confusion',
]
