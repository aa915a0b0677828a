"""Curriculum thresholds: a class of which little is known with confidence gets a lower one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from imbdense.core.checks import check_integer, check_number
from imbdense.core.pseudo_label.item_shares import ItemShares, confident_shares
from imbdense.core.pseudo_label.labeler import Predictions, PseudoLabeler
from imbdense.core.pseudo_label.running_share import RunningShare


def convex_mapping(beta: Tensor) -> Tensor:
    """beta / (2 - beta): 0 -> 0, 1 -> 1, convex in between, so that thresholds rise late."""
    return beta / (2.0 - beta)


def flex_thresholds(selected: Tensor, unselected: Tensor, threshold: float = 0.95) -> Tensor:
    """Thresholds of FlexMatch from how much of the data is confidently predicted as each class::

        beta_c = sigma_c / max(max_k sigma_k, not yet selected)
        tau_c  = threshold * beta_c / (2 - beta_c)

    Args:
        selected: (K,) sigma, amounts >= 0 whose last confident label is c.
        unselected: scalar, amount without a confident label so far. It keeps all thresholds low at the beginning.
        threshold: what "confident" means, and the largest threshold.

    Returns:
        (K,) float32; ``threshold`` for all classes when both amounts are 0 (no data).

    Example: beta = 1, .5, .1: .95, .3167, .05.
    """
    largest = torch.maximum(selected.max(), unselected.to(selected))
    beta = torch.where(largest > 0, selected / largest.clamp_min(1e-12), 1.0)
    return (threshold * convex_mapping(beta)).float()


class FlexThreshold(PseudoLabeler):
    """Lower the threshold of classes that are rarely predicted with confidence: curriculum pseudo-labels (FlexMatch).

    ``accepted iff q >= tau_c`` with :func:`flex_thresholds`. A batch is decided on before it counts.

    With ``num_items`` (the size of the unlabelled set) and ``forward(..., indices=...)`` it is the published rule: for
    every item its last confident label is remembered. An item that is an image has a share of each class; they are
    replaced when the image comes again and anything in it is confident. A step only touches the rows of its items.
    Without, moving averages of the shares per step take their place.

    All thresholds begin at 0: everything is accepted until something is confident.

    State (persistent): with ``num_items`` the shares (num_items, K) float32 and their sums (K + 1,) float64; else the
    averages (K,). The rows that all ranks visited are written on each, so batches must be equally large on all.

    Args:
        num_classes: K >= 1.
        threshold: in [0, 1]; what "confident" means, and the largest threshold.
        num_items: items of the unlabelled set; ``None`` = moving averages.
        momentum: of the averages, in [0, 1).
        negative, ignore_index: see :class:`PseudoLabeler`.

    Source: Zhang et al., FlexMatch, NeurIPS 2021.
    """

    updates_first = False

    def __init__(
        self,
        num_classes: int,
        threshold: float = 0.95,
        num_items: int | None = None,
        momentum: float = 0.999,
        negative: float | Sequence[float] | str | None = None,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(num_classes, negative, ignore_index)
        owner = 'FlexThreshold'
        self.threshold = check_number('threshold', threshold, low=0.0, high=1.0, owner=owner)
        self.items: ItemShares | None = None
        self.running: RunningShare | None = None
        if num_items is None:
            self.running = RunningShare(num_classes, momentum, owner=owner)
        else:
            self.items = ItemShares(check_integer('num_items', num_items, low=1, owner=owner), num_classes)

    def thresholds(self) -> Tensor:
        """(K,) float32; see :func:`flex_thresholds`."""
        share = self.items.shares() if self.items is not None else self._running().share
        return flex_thresholds(share, (1.0 - share.sum()).clamp_min(0.0), self.threshold)

    def update(self, seen: Predictions) -> None:
        """Count what is confident in a batch.

        Raises:
            ValueError: ``num_items`` was given and the indices were not.
        """
        confident = seen.valid & (seen.confidence >= self.threshold)
        if self.items is None:
            self._running().update(seen.predicted, confident, seen.valid)
            return
        if seen.indices is None:
            raise ValueError(
                'FlexThreshold: with num_items every call needs indices=(N,), which items these are; without num_items '
                'moving averages are used instead.'
            )
        self.items.replace(seen.indices, confident_shares(seen.predicted, confident, seen.valid, self.num_classes))

    def _running(self) -> RunningShare:
        """The averages, where no items are remembered."""
        if self.running is None:
            raise ValueError('FlexThreshold: no running shares with num_items.')
        return self.running
