"""Distribution alignment: predictions are re-weighted until they have, on average, a wanted class distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_number
from imbdense.core.pseudo_label.class_values import valid_class_sums
from imbdense.core.pseudo_label.refiner import Refiner
from imbdense.core.pseudo_label.target_prior import TargetPrior
from imbdense.core.stats import sum_over_ranks

CLAMP = (0.1, 10.0)
"""No class is weighed by less or more than this."""


def align_distribution(
    probs: Tensor, target: Tensor, current: Tensor, exponent: float = 1.0, clamp: tuple[float, float] = CLAMP
) -> Tensor:
    """Re-weight probabilities by wanted over found share of each class::

        p_c <- p_c * clamp(target_c / current_c)^exponent / sum_k (the same)

    Args:
        probs: (N, K, *spatial) or (P, K), float.
        target: (K,) wanted class distribution.
        current: (K,) mean prediction so far.
        exponent: 0 = nothing changes, 1 = fully aligned.
        clamp: range of the ratio, before the exponent.

    Returns:
        float, shape of ``probs``.

    Example: p = (.6, .4), current (.8, .2), target (.5, .5): (.375, 1.0) -> (.273, .727), the label flips.

    Source: Berthelot et al., ReMixMatch, ICLR 2020.
    """
    ratio = (target / current.clamp_min(1e-12)).clamp(*clamp) ** exponent
    weighed = probs * ratio.to(probs).view((1, -1) + (1,) * (probs.ndim - 2))
    return weighed / weighed.sum(1, keepdim=True).clamp_min(1e-12)


def tempered_prior(prior: Tensor, exponent: float) -> Tensor:
    """The target of CReST+: prior_c^t / sum_k prior_k^t, (K,); t = 1 is the prior, t = 0 uniform.

    Example: prior (.9, .1), t = .5: (.75, .25).

    Source: Wei et al., CReST, CVPR 2021.
    """
    powered = prior**exponent
    return powered / powered.sum().clamp_min(1e-12)


class DistributionAlign(Refiner):
    """Re-weight predictions so that on average they have the wanted class distribution (distribution alignment).

    :func:`align_distribution` with the moving average of the mean prediction over the valid elements of all ranks; the
    batch counts before it is aligned. The average has no start value: after the first step it is that step's mean.

    The exponent goes linearly from ``exponent`` to ``final_exponent`` over the training (:meth:`set_progress`). It is
    that of the ratio, or with ``exponent_on='target'`` that of :func:`tempered_prior`, the progressive alignment of
    CReST+ (1 -> .5, there a step per generation)::

        'ratio'    p <- Norm(p * (target / average)^t)               t = 0: nothing changes
        'target'   p <- Norm(p * Norm(target^t) / average)           t = 0: uniform on average

    With ``target='estimated'`` (or ``'bbse'``, the same) nothing changes until ``refiner.target.set_prior`` was called.

    Released code has no clamp, adds 1e-6 to both shares (which is much for a class with 1e-5 of the pixels) and
    averages the last 128 batches, or from the first batch's mean on with momentum.

    State (persistent): ``total`` (K,) and ``mass`` () float32; the target.

    Args:
        num_classes: K >= 2.
        target: 'labelled', 'uniform', 'estimated' (prior of the unlabelled data, from a shift estimate) or (K,) shares.
        momentum: of the average, in [0, 1).
        exponent: >= 0.
        final_exponent: >= 0; ``None`` = ``exponent`` throughout.
        exponent_on: 'ratio' or 'target'.
        class_counts: (K,) counts of the labelled set for 'labelled'; ``None`` = ``ClassCountHook`` hands them over.
    """

    total: Tensor
    mass: Tensor

    def __init__(
        self,
        num_classes: int,
        target: str | Sequence[float] = 'estimated',
        momentum: float = 0.999,
        exponent: float = 1.0,
        final_exponent: float | None = None,
        exponent_on: Literal['ratio', 'target'] = 'ratio',
        class_counts: Sequence[float] | None = None,
    ) -> None:
        super().__init__(num_classes)
        owner = 'DistributionAlign'
        self.momentum = check_number('momentum', momentum, low=0.0, high=1.0 - 1e-9, owner=owner)
        self.exponent = check_number('exponent', exponent, low=0.0, owner=owner)
        last = exponent if final_exponent is None else final_exponent
        self.final_exponent = check_number('final_exponent', last, low=0.0, owner=owner)
        self.exponent_on = check_choice('exponent_on', exponent_on, ('ratio', 'target'), owner=owner)
        self.target = TargetPrior(num_classes, target, class_counts, owner=owner)
        self.register_buffer('total', torch.zeros(num_classes))
        self.register_buffer('mass', torch.zeros(()))

    def current(self) -> Tensor:
        """(K,) float32: the average prediction; uniform before the first step."""
        average = self.total / self.mass.clamp_min(1e-12)
        return torch.where(self.mass > 0, average, 1.0 / self.num_classes)

    def refine(self, probs: Tensor, valid: Tensor, features: Tensor | None) -> Tensor:
        """Count, then align."""
        if self.training:
            self._count(probs, valid)
        current = self.current()
        exponent = self.exponent + (self.final_exponent - self.exponent) * self.progress
        target = self.target.prior_or(current)
        if self.exponent_on == 'target':
            target = torch.where(self.target.known, tempered_prior(target, exponent), current)
            exponent = 1.0
        return align_distribution(probs, target, current, exponent)

    def _count(self, probs: Tensor, valid: Tensor) -> None:
        """Move the average by the mean prediction of all ranks."""
        sums, number = sum_over_ranks(valid_class_sums(probs, valid), valid.sum().double())
        seen = (number > 0).float()
        keep = 1.0 - (1.0 - self.momentum) * seen
        self.total.mul_(keep).add_((1.0 - keep) * (sums / number.clamp_min(1.0)).to(self.total))
        self.mass.mul_(keep).add_(1.0 - keep)
