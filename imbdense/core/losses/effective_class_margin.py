"""Effective class margins: the binary margins that a bound on the average precision of each class asks for."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_number, split_ignored
from imbdense.core.losses.sigmoid import shifted_sigmoid_loss, with_sample_weight
from imbdense.core.reduction import full_precision
from imbdense.core.stats import fill_empty_classes


def effective_class_margins(
    class_counts: Tensor, channels: int, background: float | Tensor = 0.0, *, empty_class: str = 'one'
) -> tuple[Tensor, Tensor]:
    """Shift and weight of each channel, (channels,) float64 each.

    With n_c the samples of class c, m_c those of everything else (background included)::

        shift_c  = pos_c - neg_c = log((n_c^1/4 + m_c^1/4) / m_c^1/4) - log((n_c^1/4 + m_c^1/4) / n_c^1/4)
                 = 1/4 log(n_c / m_c)
        weight_c = a log((1 + a) / a),   a = m_c / n_c

    Args:
        class_counts: (C,); a class of count 0 counts once.
        channels: C, or C + 1 with the objectness column last, whose samples are the background.
        background: number of background samples, >= 0.
        empty_class: 'mask' gives a class of count 0 the weight 0.
    """
    counts = class_counts.to(torch.float64)
    own = torch.cat([fill_empty_classes(counts), torch.as_tensor(background, device=counts.device).double().view(1)])
    others = (own.sum() - own).clamp_min(1.0)
    own = own.clamp_min(1e-12)
    odds = others / own
    shift, weight = -0.25 * odds.log(), odds * torch.log1p(1 / odds)
    if empty_class == 'mask':
        weight = torch.where(torch.cat([counts, counts.new_ones(1)]) == 0, 0.0, weight)
    return shift[:channels], weight[:channels]


def effective_class_margin_loss(
    pred: Tensor,
    target: Tensor,
    class_counts: Tensor,
    *,
    background: float | Tensor = 0.0,
    empty_class: str = 'one',
    class_weight: Tensor | None = None,
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Weighted binary cross-entropy of the surrogate score sigma(2 z_c + shift_c), summed over channels::

        loss_i = sum_c weight_c * BCE( sigma(2 z_ic + shift_c), [c = y_i] )

    with shift and weight of :func:`effective_class_margins`. At test time the score is sigma(z_c), with an objectness
    column sigma(z_c) (1 - sigma(z_C)).

    Args:
        pred: logits (N, K, *spatial) or (P, K); K = C classes, or C + 1 with the objectness column last.
        target: class indices (N, *spatial) or (P,); C = background.
        class_counts: (C,) >= 0, of images or instances of the training set; or of the samples the loss sees.
        background: number of background samples in the same unit: the measured background / foreground ratio times the
            sum of the counts. 0 where there is none (segmentation).
        empty_class: see :func:`effective_class_margins`.
        class_weight: (K,) fixed weights of the positive terms.
        ignore_index, weight, normalizer, avg_factor, reduction: see :mod:`imbdense.core.losses`; the mean is over
            elements, not elements x classes.

    Source: Cho and Kraehenbuehl, Long-tail Detection with Effective Class-Margins, ECCV 2022.
    """
    if not isinstance(background, Tensor):
        check_number('background', background, low=0.0, owner='effective_class_margin_loss')
    counts = class_counts.to(pred.device)
    safe, valid = split_ignored(
        pred, target, ignore_index, values=counts.numel() + 1, owner='effective_class_margin_loss'
    )
    shift, terms = effective_class_margins(counts, pred.shape[1], background, empty_class=empty_class)
    logits = full_precision(pred)
    terms = terms.to(logits.dtype).view(1, -1, *(1,) * (pred.ndim - 2)).expand_as(logits)
    return shifted_sigmoid_loss(
        2 * logits, torch.where(valid, safe, -1), shift=shift, weight=with_sample_weight(terms, weight),
        class_weight=class_weight, ignore_index=-1, normalizer=normalizer, avg_factor=avg_factor, reduction=reduction,
        owner='effective_class_margin_loss',
    )
