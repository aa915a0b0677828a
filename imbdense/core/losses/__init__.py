"""Loss functions for imbalanced dense prediction: pure functions on tensors.

All share one contract. Logits ``pred`` are raw, class dim 1: pixels (N, C, H, W), volumes (N, C, D, H, W), points or
RoIs (P, C). ``target`` holds class indices without the class dim, or probabilities of the shape of ``pred``. The
arithmetic is float32 also under autocast (float64 stays float64). ``weight``, ``avg_factor``, ``normalizer`` and
``reduction`` mean what :func:`imbdense.core.reduction.reduce_loss` says.
"""

from imbdense.core.losses.auc_square import auc_square_loss
from imbdense.core.losses.bacl import foreground_class_balance_loss, labelled_probabilities
from imbdense.core.losses.bags import balanced_group_scores, balanced_group_softmax_loss, class_groups
from imbdense.core.losses.bal_scl import bal_scl_loss
from imbdense.core.losses.balanced_logit_variation import balanced_logit_variation_loss
from imbdense.core.losses.binned_lovasz import binned_lovasz_loss
from imbdense.core.losses.cdt import cdt_loss
from imbdense.core.losses.center_collapse import center_collapse_loss
from imbdense.core.losses.cross_entropy import shifted_cross_entropy
from imbdense.core.losses.distill_cosine import distill_cosine_loss
from imbdense.core.losses.dot_regression import (
    dot_regression_from_logits,
    dot_regression_loss,
    seen_feature_norm,
)
from imbdense.core.losses.effective_class_margin import effective_class_margin_loss, effective_class_margins
from imbdense.core.losses.element_sampling import sample_elements
from imbdense.core.losses.eqlv2 import eqlv2_gradients, eqlv2_loss, eqlv2_weights
from imbdense.core.losses.equilibrium_loss import equilibrium_loss, score_sums
from imbdense.core.losses.federated_loss import classes_present, draw_federated_classes, federated_loss
from imbdense.core.losses.guided_scaling import guided_step, loss_ratio
from imbdense.core.losses.influence_balanced import influence_balanced_loss
from imbdense.core.losses.label_aware_smooth import label_aware_smooth_loss
from imbdense.core.losses.lade import lade_loss
from imbdense.core.losses.ldam import ldam_loss
from imbdense.core.losses.logit_adjust import balanced_softmax_loss, logit_adjust_loss
from imbdense.core.losses.memory_contrast import ContrastPixels, memory_contrast_loss
from imbdense.core.losses.mrkld import mrkld_loss
from imbdense.core.losses.official_sek import official_sek_loss
from imbdense.core.losses.paco import paco_loss
from imbdense.core.losses.per_class_dice import per_class_dice_loss
from imbdense.core.losses.per_class_tversky import per_class_tversky_loss
from imbdense.core.losses.prior_bias import (
    expected_initial_loss,
    per_class_sigmoid_bias,
    per_class_softmax_bias,
    prior_to_bias,
    shared_prior,
    shared_sigmoid_bias,
    shared_softmax_bias,
)
from imbdense.core.losses.prior_shift import foreground_weights, prior_shift
from imbdense.core.losses.pseudo_cross_entropy import pseudo_cross_entropy
from imbdense.core.losses.reweighted_ce import reweighted_ce_loss
from imbdense.core.losses.seesaw import seesaw_loss, seesaw_objectness_loss, seesaw_scores
from imbdense.core.losses.sigmoid import objectness_scores, shifted_sigmoid_loss
from imbdense.core.losses.sigmoid_focal_cb import sigmoid_focal_cb_loss
from imbdense.core.losses.soft_regions import soft_region_labels, soft_region_means
from imbdense.core.losses.soft_sek import soft_sek_from_table, soft_sek_loss, soft_sek_table
from imbdense.core.losses.softmax_eql import softmax_eql_loss
from imbdense.core.losses.softmax_focal import softmax_focal_loss
from imbdense.core.losses.ssim import ssim_loss, structural_similarity
from imbdense.core.losses.unchanged_consistency import unchanged_consistency_loss

__all__ = [
    'ContrastPixels',
    'auc_square_loss',
    'bal_scl_loss',
    'balanced_group_scores',
    'balanced_group_softmax_loss',
    'balanced_logit_variation_loss',
    'balanced_softmax_loss',
    'binned_lovasz_loss',
    'cdt_loss',
    'center_collapse_loss',
    'class_groups',
    'classes_present',
    'distill_cosine_loss',
    'dot_regression_from_logits',
    'dot_regression_loss',
    'draw_federated_classes',
    'effective_class_margin_loss',
    'effective_class_margins',
    'eqlv2_gradients',
    'eqlv2_loss',
    'eqlv2_weights',
    'equilibrium_loss',
    'expected_initial_loss',
    'federated_loss',
    'foreground_class_balance_loss',
    'foreground_weights',
    'guided_step',
    'influence_balanced_loss',
    'label_aware_smooth_loss',
    'labelled_probabilities',
    'lade_loss',
    'ldam_loss',
    'logit_adjust_loss',
    'loss_ratio',
    'memory_contrast_loss',
    'mrkld_loss',
    'objectness_scores',
    'official_sek_loss',
    'paco_loss',
    'per_class_dice_loss',
    'per_class_sigmoid_bias',
    'per_class_softmax_bias',
    'per_class_tversky_loss',
    'prior_shift',
    'prior_to_bias',
    'pseudo_cross_entropy',
    'reweighted_ce_loss',
    'sample_elements',
    'score_sums',
    'seen_feature_norm',
    'seesaw_loss',
    'seesaw_objectness_loss',
    'seesaw_scores',
    'shared_prior',
    'shared_sigmoid_bias',
    'shared_softmax_bias',
    'shifted_cross_entropy',
    'shifted_sigmoid_loss',
    'sigmoid_focal_cb_loss',
    'soft_region_labels',
    'soft_region_means',
    'soft_sek_from_table',
    'soft_sek_loss',
    'soft_sek_table',
    'softmax_eql_loss',
    'softmax_focal_loss',
    'ssim_loss',
    'structural_similarity',
    'unchanged_consistency_loss',
]
