"""Streamed second-order statistics of labelled features: counts, class means, within-class scatter."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_integer

FULL_DIM = 512
"""Wider features get their scatter matrix in a random projection; counts, means and traces stay exact."""
PROJECTED_DIM = 256


class ClassScatter:
    """Counts, means and pooled within-class scatter of features that arrive in chunks, in float64 on the CPU.

    Chunks and other objects are joined with the exact formulas of Chan et al. (1979), so the result does not depend on
    order, chunking or ranks but for rounding (relative 1e-12 or so).

    Args:
        num_classes: K >= 1.
        dim: width d of the features.
        seed: of the projection for d > 512: 256 orthonormal directions out of d, the same for equal seeds. NC1 from it
            is comparable between runs but not exact: for round noise it is d / 256 times as large.

    Attributes:
        counts: (K,) int64 samples per class.
        means: (K, d) class means; 0 for a class without samples.
        traces: (K,) sum over the samples of a class of ||h - mean||^2.
        scatter: (p, p) sum over all samples of (h - mean)(h - mean)^T, p = d or the projected width.
        projection: (d, p) or ``None``.
    """

    def __init__(self, num_classes: int, dim: int, seed: int = 0) -> None:
        self.num_classes = check_integer('num_classes', num_classes, low=1, owner='ClassScatter')
        self.dim = check_integer('dim', dim, low=1, owner='ClassScatter')
        self.seed = seed
        self.projection: Tensor | None = None
        if dim > FULL_DIM:
            generator = torch.Generator().manual_seed(seed)
            gaussian = torch.randn(dim, PROJECTED_DIM, generator=generator, dtype=torch.float64)
            self.projection = torch.linalg.qr(gaussian).Q
        width = dim if self.projection is None else PROJECTED_DIM
        self.counts = torch.zeros(num_classes, dtype=torch.int64)
        self.means = torch.zeros(num_classes, dim, dtype=torch.float64)
        self.traces = torch.zeros(num_classes, dtype=torch.float64)
        self.scatter = torch.zeros(width, width, dtype=torch.float64)

    @property
    def projected(self) -> bool:
        """Whether the scatter matrix lives in a random projection of the features."""
        return self.projection is not None

    @property
    def total(self) -> int:
        """Samples of all classes."""
        return int(self.counts.sum())

    @torch.no_grad()
    def update(self, features: Tensor, labels: Tensor) -> None:
        """Add samples.

        Args:
            features: (P, d), any float type and device; must be finite where the label counts.
            labels: (P,) integers; values outside [0, K) are left out.

        Raises:
            ValueError: shapes that do not fit, or features that are not finite.
        """
        if features.ndim != 2 or features.shape[1] != self.dim or tuple(labels.shape) != (features.shape[0],):
            raise ValueError(
                f'ClassScatter: expected features (P, {self.dim}) and labels (P,), but the shapes are '
                f'{tuple(features.shape)} and {tuple(labels.shape)}.'
            )
        known = (labels >= 0) & (labels < self.num_classes)
        samples = features.detach()[known].to('cpu', torch.float64)
        classes = labels[known].to('cpu', torch.int64)
        if not bool(torch.isfinite(samples).all()):
            raise ValueError('ClassScatter: some features are NaN or infinite.')
        chunk = ClassScatter.__new__(ClassScatter)
        chunk.__dict__.update(self.__dict__)
        chunk.counts = torch.bincount(classes, minlength=self.num_classes)
        sums = torch.zeros_like(self.means).index_add_(0, classes, samples)
        chunk.means = sums / chunk.counts.clamp_min(1)[:, None]
        centred = samples - chunk.means[classes]
        chunk.traces = torch.zeros_like(self.traces).index_add_(0, classes, centred.square().sum(1))
        seen = centred if self.projection is None else centred @ self.projection
        chunk.scatter = seen.T @ seen
        self.merge(chunk)

    @torch.no_grad()
    def merge(self, other: ClassScatter) -> None:
        """Add the samples of ``other``, which must have the same classes, width and seed."""
        if (self.num_classes, self.dim) != (other.num_classes, other.dim) or (
            self.projected and self.seed != other.seed
        ):
            raise ValueError(
                f'ClassScatter: can not merge {other.num_classes} classes of width {other.dim} (seed {other.seed}) '
                f'into {self.num_classes} classes of width {self.dim} (seed {self.seed}).'
            )
        mine, theirs = self.counts.to(torch.float64), other.counts.to(torch.float64)
        both = (mine + theirs).clamp_min(1.0)
        shift = other.means - self.means
        weight = mine * theirs / both
        moved = shift if self.projection is None else shift @ self.projection
        self.scatter = self.scatter + other.scatter + moved.T @ (weight[:, None] * moved)
        self.traces = self.traces + other.traces + weight * shift.square().sum(1)
        self.means = self.means + (theirs / both)[:, None] * shift
        self.counts = self.counts + other.counts
