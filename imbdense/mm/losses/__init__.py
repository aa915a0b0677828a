"""Registered losses."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'reweighted_ce': (),
        'logit_adjust': (),
        'balanced_softmax': (),
        'per_class_dice': (),
        'per_class_tversky': (),
        'binned_lovasz': (),
        'auc_square': (),
        'paco': (),
        'bal_scl': (),
        'dot_regression': (),
        'seesaw': (),
        'eqlv2': (),
        'effective_class_margin': (),
        'equilibrium_loss': (),
        'bacl': (),
        'federated_loss': (),
        'bags': (),
        'softmax_focal': (),
        'sigmoid_focal_cb': (),
        'ldam': (),
        'cdt': (),
        'lade': (),
        'softmax_eql': (),
        'label_aware_smooth': (),
        'influence_balanced': (),
        'balanced_logit_variation': (),
        'mixed': (),
        'mrkld': (),
        'guided_loss_balancer': (),
        'ssim': (),
    },
)
