"""How often each class is labelled: given, or handed over before training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_counts
from imbdense.core.stats import ClassCounts, PriorLedger


class LabelledCounts(nn.Module):
    """Counts of the labelled set, and how many units (pixels, images) they were counted in.

    From the constructor, or from ``ClassCountHook`` through :meth:`bind_prior` (pixels, or instances and images for
    detection). Nothing is corrected here, so nothing is written to the ledger.

    State: ``counts`` (K,) float64 and ``units`` float64, persistent, so that a resumed run has them at once.

    Args:
        num_classes: K.
        class_counts: (K,) >= 0, or ``None`` = to be handed over.
        labelled_images: images the counts come from, where they are objects; ``None`` = the units are the elements.
        owner: for messages.
    """

    counts: Tensor
    units: Tensor

    def __init__(
        self,
        num_classes: int,
        class_counts: Sequence[float] | None = None,
        labelled_images: int | None = None,
        owner: str = 'LabelledCounts',
    ) -> None:
        super().__init__()
        self.owner, self.given, self.known = owner, class_counts is not None, False
        self.register_buffer('counts', torch.zeros(num_classes, dtype=torch.float64))
        self.register_buffer('units', torch.zeros((), dtype=torch.float64))
        if class_counts is not None:
            self._set(check_counts(class_counts, owner=owner), labelled_images)

    def bind_prior(self, ledger: PriorLedger, counts: ClassCounts) -> None:
        """Take the counts of the labels, whatever the ledger says, unless the constructor was given some."""
        self.bind(counts)

    def bind(self, counts: ClassCounts) -> None:
        """Take the counts of the labels, unless the constructor was given some."""
        if self.given:
            return
        if counts.pixels is not None:
            self._set(torch.as_tensor(counts.of('pixels'), dtype=torch.float64), None)
        else:
            self._set(torch.as_tensor(counts.of('instances'), dtype=torch.float64), counts.num_images)

    def read(self) -> Tensor:
        """(K,) float64.

        Raises:
            ValueError: no counts were given or handed over.
        """
        if not self.known:
            raise ValueError(
                f'{self.owner} needs the class counts of the labelled set: give class_counts=[...], or add '
                f"custom_hooks=[dict(type='imbdense.ClassCountHook')], which hands them over before training."
            )
        return self.counts

    def prior(self) -> Tensor:
        """(K,) float32: share of each class. Raises like :meth:`read`."""
        counts = self.read()
        return (counts / counts.sum()).float()

    def _set(self, counts: Tensor, images: int | None) -> None:
        if counts.shape != self.counts.shape:
            raise ValueError(
                f'{self.owner}: class_counts has {counts.numel()} entries, but there are {self.counts.numel()} classes.'
            )
        self.counts.copy_(counts)
        self.units.fill_(float(counts.sum()) if images is None else float(images))
        self.known = True

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *arguments: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *arguments)
        self.known = bool(self.counts.sum() > 0)
