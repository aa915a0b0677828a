"""Loss functions for imbalanced dense prediction: pure functions on tensors.

All share one contract. Logits ``pred`` are raw, class dim 1: pixels (N, C, H, W), volumes (N, C, D, H, W), points or
RoIs (P, C). ``target`` holds class indices without the class dim, or probabilities of the shape of ``pred``. The
arithmetic is float32 also under autocast (float64 stays float64). ``weight``, ``avg_factor``, ``normalizer`` and
``reduction`` mean what :func:`imbdense.core.reduction.reduce_loss` says.
"""

from imbdense.core.losses.cross_entropy import shifted_cross_entropy
from imbdense.core.losses.logit_adjust import balanced_softmax_loss, logit_adjust_loss
from imbdense.core.losses.per_class_dice import per_class_dice_loss
from imbdense.core.losses.prior_shift import foreground_weights, prior_shift
from imbdense.core.losses.reweighted_ce import reweighted_ce_loss
from imbdense.core.losses.sigmoid import shifted_sigmoid_loss

__all__ = [
    'balanced_softmax_loss',
    'foreground_weights',
    'logit_adjust_loss',
    'per_class_dice_loss',
    'prior_shift',
    'reweighted_ce_loss',
    'shifted_cross_entropy',
    'shifted_sigmoid_loss',
]
