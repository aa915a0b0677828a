"""DARP for dense predictions: solved on remembered regions, applied to the regions of the batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from imbdense.core.checks import check_integer
from imbdense.core.pseudo_label.darp import apply_duals, darp_duals
from imbdense.core.pseudo_label.host_step import HostStep
from imbdense.core.pseudo_label.refiner import Refiner
from imbdense.core.pseudo_label.regions import REGION_SIZE, pool_regions, refine_by_regions
from imbdense.core.pseudo_label.target_prior import TargetPrior
from imbdense.core.stats import gather_over_ranks


class DARPRefiner(Refiner):
    """Change predictions as little as possible so that regions have the wanted class totals (DARP).

    The published method solves for the soft labels of the whole unlabelled set. Here the mean predictions of the last
    ``memory`` regions (32 x 32 pixels, of all ranks) stand for it, and every ``interval`` steps the class multipliers
    nu are solved for on them (:func:`darp_duals`); a batch alone does not have the class distribution of the data.
    Regions of the batch become Norm(A_k exp(-nu_k H)), and pixels follow their region. (P, K) rows are their own
    regions.

    Until ``warmup`` steps are over, and until the target is known, nothing changes.

    State (persistent): ``rows`` (memory, K) and ``masses`` (memory,) float32, ``nu`` (K,) float64, steps. Every rank
    must give equally many regions.

    Args:
        num_classes: K >= 2.
        target: 'labelled', 'uniform', 'estimated' or (K,) shares; see :class:`TargetPrior`.
        region: edge of a region in pixels.
        memory: regions remembered.
        interval: steps between two solutions.
        warmup: steps without refinement.
        class_counts: (K,) counts of the labelled set for 'labelled'; ``None`` = ``ClassCountHook`` hands them over.

    Source: Kim et al., DARP, NeurIPS 2020.
    """

    rows: Tensor
    masses: Tensor
    nu: Tensor

    def __init__(
        self,
        num_classes: int,
        target: str | Sequence[float] = 'labelled',
        region: int = REGION_SIZE,
        memory: int = 4096,
        interval: int = 10,
        warmup: int = 100,
        class_counts: Sequence[float] | None = None,
    ) -> None:
        super().__init__(num_classes)
        owner = 'DARPRefiner'
        self.region = check_integer('region', region, low=1, owner=owner)
        self.interval = check_integer('interval', interval, low=1, owner=owner)
        self.warmup = check_integer('warmup', warmup, low=0, owner=owner)
        self.target = TargetPrior(num_classes, target, class_counts, owner=owner)
        self.register_buffer('rows', torch.full((check_integer('memory', memory, low=1), num_classes), 1 / num_classes))
        self.register_buffer('masses', torch.zeros(memory))
        self.register_buffer('nu', torch.zeros(num_classes, dtype=torch.float64))
        self.steps = HostStep()

    def refine(self, probs: Tensor, valid: Tensor, features: Tensor | None) -> Tensor:
        """Remember the regions, solve when it is time, apply."""
        if self.training:
            self._remember(probs, valid)
        if probs.ndim == 2:
            return apply_duals(torch.where(valid.unsqueeze(1), probs, 1.0 / self.num_classes), self.nu).float()
        return refine_by_regions(probs, valid, lambda rows, _: apply_duals(rows, self.nu), self.region)

    def _remember(self, probs: Tensor, valid: Tensor) -> None:
        """Put the regions of all ranks at the front of the memory."""
        if probs.ndim == 2:
            rows, masses = torch.where(valid.unsqueeze(1), probs, 1.0 / self.num_classes), valid.float()
        else:
            means, mass = pool_regions(probs, valid, self.region)
            rows, masses = means.movedim(1, -1).reshape(-1, self.num_classes), mass.flatten()
        rows, masses = gather_over_ranks(rows, masses)
        size = len(self.rows)
        self.rows.copy_(torch.cat([rows, self.rows])[:size])
        self.masses.copy_(torch.cat([masses, self.masses])[:size])
        step = self.steps.advance()
        if step > self.warmup and (step - self.warmup) % self.interval == 1 % self.interval:
            self._solve()

    def _solve(self) -> None:
        """Multipliers for the remembered regions; zero while the target is unknown."""
        target = self.target.prior_or(torch.full_like(self.rows[0], 1.0 / self.num_classes))
        nu = darp_duals(self.rows, target, row_mass=self.masses, start=self.nu, iterations=5, newton_steps=6)
        self.nu.copy_(torch.where(self.target.known & (self.masses.sum() > 0), nu, 0.0))
