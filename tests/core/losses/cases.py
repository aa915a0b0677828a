"""The losses of this room in one common form, and inputs of every shape they take."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from imbdense.core.losses import (
    balanced_logit_variation_loss,
    balanced_softmax_loss,
    binned_lovasz_loss,
    cdt_loss,
    effective_class_margin_loss,
    eqlv2_loss,
    equilibrium_loss,
    federated_loss,
    foreground_class_balance_loss,
    influence_balanced_loss,
    label_aware_smooth_loss,
    lade_loss,
    ldam_loss,
    logit_adjust_loss,
    per_class_dice_loss,
    per_class_tversky_loss,
    reweighted_ce_loss,
    seesaw_loss,
    sigmoid_focal_cb_loss,
    softmax_eql_loss,
    softmax_focal_loss,
)

COUNTS = torch.tensor([900.0, 60.0, 30.0, 9.0, 1.0])
WEIGHTS = torch.tensor([0.1, 0.5, 1.0, 2.0, 4.0])
RATIO = torch.tensor([2.0, 1.0, 0.8, 0.3, 0.01], dtype=torch.float64)
CONFUSION = torch.softmax(torch.randn(5, 5, generator=torch.Generator().manual_seed(3)) * 2, 1)
CLASSES = 5

LOSSES: dict[str, Callable[..., Tensor]] = {
    'reweighted_ce': lambda pred, target, **options: reweighted_ce_loss(pred, target, WEIGHTS, **options),
    'reweighted_sigmoid': lambda pred, target, **options: reweighted_ce_loss(
        pred, target, WEIGHTS, use_sigmoid=True, focal_gamma=1.5, focal_alpha=0.25, **options
    ),
    'logit_adjust': lambda pred, target, **options: logit_adjust_loss(pred, target, COUNTS, tau=0.7, **options),
    'logit_adjust_sigmoid': lambda pred, target, **options: logit_adjust_loss(
        pred, target, COUNTS, use_sigmoid=True, focal_gamma=2.0, **options
    ),
    'balanced_softmax': lambda pred, target, **options: balanced_softmax_loss(pred, target, COUNTS, **options),
    # The compensation (q) is a constant of the gradient but not of the value; test_seesaw.py checks its gradient.
    'seesaw': lambda pred, target, **options: seesaw_loss(pred, target, COUNTS, q=0.0, **options),
    'seesaw_sigmoid': lambda pred, target, **options: seesaw_loss(
        pred, target, COUNTS, q=0.0, use_sigmoid=True, focal_gamma=2.0, focal_alpha=0.25, **options
    ),
    'eqlv2': lambda pred, target, **options: eqlv2_loss(pred, target, RATIO, **options),
    'effective_class_margin': lambda pred, target, **options: effective_class_margin_loss(
        pred, target, COUNTS, background=2000.0, **options
    ),
    'equilibrium': lambda pred, target, **options: equilibrium_loss(pred, target, WEIGHTS / 5, **options),
    'foreground_class_balance': lambda pred, target, **options: foreground_class_balance_loss(
        pred, target, CONFUSION, competitors_only=True, **options
    ),
    'federated': lambda pred, target, **options: federated_loss(pred, target, RATIO > 0.5, **options),
    'softmax_focal': softmax_focal_loss,
    'softmax_focal_weighted': lambda pred, target, **options: softmax_focal_loss(
        pred, target, focal_gamma=0.5, class_weight=WEIGHTS, **options
    ),
    'sigmoid_focal_cb': lambda pred, target, **options: sigmoid_focal_cb_loss(
        pred, target, WEIGHTS, focal_gamma=1.5, **options
    ),
    'ldam': lambda pred, target, **options: ldam_loss(pred, target, COUNTS, s=3.0, class_weight=WEIGHTS, **options),
    'ldam_outside': lambda pred, target, **options: ldam_loss(
        pred, target, COUNTS, s=10.0, logit_scale='outside', **options
    ),
    'cdt': lambda pred, target, **options: cdt_loss(pred, target, COUNTS, gamma=0.2, **options),
    'label_aware_smooth': lambda pred, target, **options: label_aware_smooth_loss(pred, target, COUNTS, **options),
    'influence_balanced': lambda pred, target, **options: influence_balanced_loss(
        pred, target, torch.full(target.shape, 20.0), class_weight=WEIGHTS, **options
    ),
    # The draws of the randomised losses, as a function of the logits: they go along with the elements.
    'softmax_eql': lambda pred, target, **options: softmax_eql_loss(
        pred, target, COUNTS, threshold=0.02, dropped=pred > 0, **options
    ),
    'balanced_logit_variation': lambda pred, target, **options: balanced_logit_variation_loss(
        pred, target, COUNTS, noise=(pred > 0) * 0.7, **options
    ),
    'lade': lambda pred, target, **options: lade_loss(pred, target, COUNTS, **options),
    'dice_batch': per_class_dice_loss,
    'tversky': partial(per_class_tversky_loss, gamma=0.75),
    'lovasz': binned_lovasz_loss,
    'dice_image': partial(per_class_dice_loss, per='image', squared=True),
}

RATIOS = ('dice_batch', 'dice_image', 'tversky', 'lovasz', 'lade')
"""Made of sums over elements: no element has a term of its own."""

SHAPES = {'pixels': (2, 6, 7), 'volumes': (2, 3, 4, 5), 'points': (40,)}


def example(
    shape: tuple[int, ...], *, ignored: float = 0.2, dtype: torch.dtype = torch.float32, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Logits with gradient and index targets of ``shape`` (N, *spatial) or (P,), some of them ignored (255)."""
    generator = torch.Generator().manual_seed(seed)
    pred = torch.randn(shape[0], CLASSES, *shape[1:], generator=generator, dtype=dtype)
    target = torch.randint(0, CLASSES, shape, generator=generator)
    target[torch.rand(shape, generator=generator) < ignored] = 255
    return pred.requires_grad_(), target
