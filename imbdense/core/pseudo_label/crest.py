"""Class-rebalancing self-training: the rarer a class, the more of its predictions are kept."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.pseudo_label.labelled_counts import LabelledCounts
from imbdense.core.pseudo_label.rank_threshold import portion_ranks
from imbdense.core.pseudo_label.rounds import RoundThreshold


def crest_rates(class_counts: Tensor, alpha: float = 3.0) -> Tensor:
    """The share of its predictions that each class adds to the labelled set.

    With the classes sorted by frequency, rank l = 1 (most frequent) ... K::

        mu_l = (N_(K+1-l) / N_1)^(1 / alpha)

    so the most frequent class keeps what the rarest one's share allows, and the rarest everything. The **rank** counts,
    not the class index: with the index, as in released code, unsorted classes get each other's rates. Classes of equal
    count are ranked by index.

    Args:
        class_counts: (K,) >= 0 with a positive sum.
        alpha: > 0.

    Returns:
        (K,) float64 in [0, 1], in the order of the classes.

    Example: N = (100, 50, 10, 5), alpha = 3: (.368, .464, .794, 1).

    Source: Wei et al., CReST, CVPR 2021.
    """
    check_number('alpha', alpha, low=0.0, low_open=True, owner='crest_rates')
    counts = class_counts.double()
    order = counts.argsort(descending=True, stable=True)
    rates = (counts[order].flip(0) / counts.max().clamp_min(1e-12)) ** (1.0 / alpha)
    return torch.empty_like(rates).scatter_(0, order, rates)


class CReSTQuota(RoundThreshold):
    """Keep the most confident share mu_c of the predictions of each class, large for rare classes (CReST).

    The share is that of :func:`crest_rates`, by frequency rank. The unit is the element: a pixel in ``forward``; with
    :meth:`observe` and :meth:`select` an image, a box or a component. State: see :class:`RoundThreshold`.

    Args:
        num_classes: K >= 1.
        class_counts: (K,) counts of the labelled set; ``None`` = ``ClassCountHook`` hands them over.
        alpha: > 0; larger keeps more of the frequent classes.
        round_steps, initial, negative, ignore_index: see :class:`RoundThreshold`.
    """

    card = 'distribution_alignment'

    def __init__(
        self,
        num_classes: int,
        class_counts: Sequence[float] | None = None,
        alpha: float = 3.0,
        round_steps: int | None = 500,
        initial: float = 0.9,
        negative: float | Sequence[float] | str | None = None,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(num_classes, round_steps, initial, negative, ignore_index)
        self.alpha = check_number('alpha', alpha, low=0.0, low_open=True, owner='CReSTQuota')
        self.labelled = LabelledCounts(num_classes, class_counts, owner='CReSTQuota')

    def ranks(self, predicted: Tensor) -> Tensor:
        """(K,): floor(mu_c * n_c)."""
        return portion_ranks(predicted, crest_rates(self.labelled.read(), self.alpha))
