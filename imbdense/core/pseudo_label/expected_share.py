"""Thresholds that go down for classes that are confidently predicted less often than expected."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.pseudo_label.flex import convex_mapping
from imbdense.core.pseudo_label.labeler import Predictions, PseudoLabeler
from imbdense.core.pseudo_label.running_share import RunningShare
from imbdense.core.pseudo_label.target_prior import TargetPrior


def expected_share_thresholds(share: Tensor, expected: Tensor, threshold: float = 0.95, floor: float = 0.5) -> Tensor:
    """Thresholds relative to how often each class is expected::

        beta_c = (share_c / expected_c) / max_k (share_k / expected_k)
        tau_c  = threshold * max(beta_c / (2 - beta_c), floor)

    Unlike :func:`flex_thresholds`, a rare class that is predicted as often as it should be keeps the full threshold.

    Args:
        share: (K,) share of elements confidently predicted as c.
        expected: (K,) expected share; a class of share 0 keeps the full threshold.
        threshold: in [0, 1].
        floor: lowest threshold as a fraction of ``threshold``.

    Returns:
        (K,) float32; ``threshold`` for all while nothing is confident.
    """
    ratio = torch.where(expected > 0, share / expected.clamp_min(1e-12), 0.0)
    largest = ratio.max()
    beta = torch.where((largest > 0) & (expected > 0), ratio / largest.clamp_min(1e-12), 1.0)
    return (threshold * convex_mapping(beta).clamp_min(floor)).float()


class ExpectedShareThreshold(PseudoLabeler):
    """Lower the threshold of classes that are confidently predicted less often than expected of the unlabelled data.

    ``accepted iff q >= tau_c`` with :func:`expected_share_thresholds`; the shares are moving averages over all ranks.
    What is expected is the labelled prior, a given one, or an estimate of the prior of the unlabelled data that is
    handed over by ``rule.target.set_prior``; without it all classes are expected alike.

    State (persistent): averages (K,) float32, expected prior (K,).

    Args:
        num_classes: K >= 1.
        threshold: in [0, 1]; what "confident" means, and the largest threshold.
        expected: 'labelled', 'uniform', 'estimated' or (K,) shares; see :class:`TargetPrior`.
        floor: lowest threshold as a fraction of ``threshold``, in [0, 1].
        momentum: of the averages, in [0, 1).
        class_counts: (K,) counts of the labelled set for 'labelled'; ``None`` = ``ClassCountHook`` hands them over.
        negative, ignore_index: see :class:`PseudoLabeler`.
    """

    updates_first = False

    def __init__(
        self,
        num_classes: int,
        threshold: float = 0.95,
        expected: str | Sequence[float] = 'estimated',
        floor: float = 0.5,
        momentum: float = 0.999,
        class_counts: Sequence[float] | None = None,
        negative: float | Sequence[float] | str | None = None,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(num_classes, negative, ignore_index)
        owner = 'ExpectedShareThreshold'
        self.threshold = check_number('threshold', threshold, low=0.0, high=1.0, owner=owner)
        self.floor = check_number('floor', floor, low=0.0, high=1.0, owner=owner)
        self.running = RunningShare(num_classes, momentum, owner=owner)
        self.target = TargetPrior(num_classes, expected, class_counts, owner=owner)

    def thresholds(self) -> Tensor:
        """(K,) float32; see :func:`expected_share_thresholds`."""
        expected = self.target.prior_or(torch.full_like(self.running.share, 1.0 / self.num_classes))
        return expected_share_thresholds(self.running.share, expected, self.threshold, self.floor)

    def update(self, seen: Predictions) -> None:
        """Count what is confident in a batch."""
        self.running.update(seen.predicted, seen.valid & (seen.confidence >= self.threshold), seen.valid)
