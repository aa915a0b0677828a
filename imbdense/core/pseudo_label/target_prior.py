"""The class distribution that pseudo-labels should have."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_counts
from imbdense.core.pseudo_label.labelled_counts import LabelledCounts

ESTIMATED = ('estimated', 'bbse')
KINDS = ('labelled', 'uniform', *ESTIMATED)


class TargetPrior(nn.Module):
    """A target distribution over K classes and where it comes from.

    * ``'labelled'``: the class counts of the labelled set, given or handed over by ``ClassCountHook``;
    * ``'uniform'``;
    * ``'estimated'`` (also ``'bbse'``): unknown until :meth:`set_prior` is called, by whatever estimates the prior of
      the unlabelled data, ``imbdense.PriorEstimateHook`` in a training of the hosts;
    * K numbers >= 0.

    State (persistent): ``estimate`` (K,) float32 and ``known`` bool.

    Args:
        num_classes: K.
        kind: see above.
        class_counts: (K,) for 'labelled'.
        owner: for messages.

    Attributes:
        wants_estimate: whether it waits for :meth:`set_prior`.

    Raises:
        ValueError: an unknown name, or not K numbers.
    """

    estimate: Tensor
    known: Tensor

    def __init__(
        self,
        num_classes: int,
        kind: str | Sequence[float],
        class_counts: Sequence[float] | None = None,
        owner: str = 'TargetPrior',
    ) -> None:
        super().__init__()
        if isinstance(kind, str) and kind not in KINDS:
            raise ValueError(f'{owner}: the target must be one of {list(KINDS)} or K numbers, but is {kind!r}.')
        self.owner = owner
        self.wants_estimate = kind in ESTIMATED if isinstance(kind, str) else False
        self.labelled = LabelledCounts(num_classes, class_counts, owner=owner) if kind == 'labelled' else None
        self.register_buffer('estimate', torch.full((num_classes,), 1.0 / num_classes))
        self.register_buffer('known', torch.tensor(kind in ('uniform', 'labelled')))
        if not isinstance(kind, str):
            self.set_prior(kind)

    def set_prior(self, prior: Sequence[float] | Tensor) -> None:
        """Use ``prior`` (K,) >= 0 (it is normalised) from now on; the same must be set on every rank."""
        values = check_counts(prior, name='prior', owner=self.owner)
        if values.shape != self.estimate.shape:
            raise ValueError(f'{self.owner}: prior has {values.numel()} entries for {self.estimate.numel()} classes.')
        self.estimate.copy_((values / values.sum()).float())
        self.known.fill_(True)

    def prior_or(self, other: Tensor) -> Tensor:
        """(K,) float32 target, or ``other`` (K,) while it is unknown.

        Raises:
            ValueError: 'labelled', and no counts were given or handed over.
        """
        target = self.estimate if self.labelled is None else self.labelled.prior()
        return torch.where(self.known.to(other.device), target.to(other), other)
