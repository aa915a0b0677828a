"""Class-dependent temperatures: a rare class must reach a larger logit for the same training probability."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from imbdense.core.checks import check_counts, check_number
from imbdense.core.losses.cross_entropy import softmax_nll
from imbdense.core.losses.prior_shift import removed_shift, with_background
from imbdense.core.reduction import reduce_loss
from imbdense.core.stats import fill_empty_classes


def cdt_temperatures(counts: Tensor, channels: int, *, gamma: float = 0.1, owner: str = 'cdt_temperatures') -> Tensor:
    """Return a_c = (n_max / n_c)^gamma, (channels,) float64; a background gets their geometric mean over objects."""
    values = fill_empty_classes(counts)
    return with_background(gamma * (values.max() / values).log(), counts, channels, owner=owner).exp()


def cdt_loss(
    pred: Tensor,
    target: Tensor,
    class_counts: Tensor | Sequence[float],
    *,
    gamma: float = 0.1,
    class_weight: Tensor | None = None,
    empty_class: str = 'one',
    ignore_index: int = 255,
    weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Cross-entropy of softmax(z_c / a_c) with a_c = (n_max / n_c)^gamma >= 1, in training only.

    At test time the bare z decides, so a class that had to grow its logits against a large temperature now wins more
    often.

    Args:
        pred: logits (N, C, *spatial) or (P, C); with a background channel (N, C + 1, ...).
        target: class indices (N, *spatial) or (P,).
        class_counts: (C,) >= 0, without the background.
        gamma: >= 0; 0 (or equal counts) = plain cross-entropy.
        class_weight: (channels,); ``None`` = 1.
        empty_class: 'one' or 'mask', what happens to a class with count 0.
        ignore_index, weight, normalizer, avg_factor, reduction: see :mod:`imbdense.core.losses`.

    Example (n = [1000, 10], gamma = .5): a = [1, 10]; z = [1, 1], y = 1: logits [1, .1], loss log(1 + e^.9) = 1.2412.

    Source: Ye et al., Identifying and compensating for feature deviation in imbalanced deep learning, 2020.
    """
    owner = 'cdt_loss'
    gamma = check_number('gamma', gamma, low=0.0, owner=owner)
    counts = check_counts(class_counts, owner=owner).to(pred.device)
    nll, safe, valid = softmax_nll(
        pred, target,
        scale=1.0 / cdt_temperatures(counts, pred.shape[1], gamma=gamma, owner=owner),
        shift=removed_shift(counts, pred.shape[1], empty_class, owner=owner),
        ignore_index=ignore_index, owner=owner,
    )
    return reduce_loss(
        nll, valid=valid, class_weight=None if class_weight is None else class_weight.to(nll)[safe], weight=weight,
        normalizer=normalizer, avg_factor=avg_factor, reduction=reduction,
    )
