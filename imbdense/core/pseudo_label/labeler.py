"""What every pseudo-label rule shares: from class probabilities to labels that are kept, ignored or dropped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_integer, reads_values
from imbdense.core.pseudo_label.class_values import per_class
from imbdense.core.pseudo_label.probabilities import checked_probabilities
from imbdense.core.reduction import count_values

POSITIVE, IGNORED, DROPPED = 1, -1, 0
"""Status of an item: a label to learn from; neither a label nor background; no label at all."""


class PseudoLabels(NamedTuple):
    """What a rule makes of a batch.

    Attributes:
        label: (N, *spatial) or (P,) int64; the ignore index where nothing was accepted.
        weight: same shape, float32; 0 where nothing was accepted, else 1 (or what the rule says).
        accepted: (K,) int64, accepted elements per class on this rank.
    """

    label: Tensor
    weight: Tensor
    accepted: Tensor


class Predictions(NamedTuple):
    """One batch of probabilities as the rules see it.

    Attributes:
        probs: (N, K, *spatial) or (P, K) float32.
        confidence: (N, *spatial) or (P,) float32, the largest probability.
        predicted: same shape, int64, the class that has it.
        valid: same shape, bool: not padded, and the probabilities are numbers.
        indices: (N,) int64, which items of the data set these are; ``None`` = unknown.
    """

    probs: Tensor
    confidence: Tensor
    predicted: Tensor
    valid: Tensor
    indices: Tensor | None


class PseudoLabeler(nn.Module, ABC):
    """Base of the rules that turn a teacher's probabilities into pseudo-labels.

    An element with confidence q = max_c p_c and predicted class c is accepted iff it is valid and q >= tau_c; a
    subclass says what tau_c is (:meth:`thresholds`), and may decide otherwise (:meth:`decide`). The same thresholds
    serve boxes, points and 3-D boxes that come as a score and a label (:meth:`select`).

    State: whatever a rule counts lies in persistent buffers (saved, resumed). :meth:`update` runs inside ``forward``,
    in train mode only and without gradient. What it adds is summed over all ranks first
    (:func:`imbdense.core.stats.sum_over_ranks`), so thresholds are equal on every rank, which must call ``forward``
    equally often. Nothing is read back from the device. Probabilities are taken as float32, whatever autocast says.

    Args:
        num_classes: K >= 1; 1 where a detector finds one kind of object.
        negative: lower end of the ignore band of :meth:`select`: one number, one per class, 'half' (half the positive
            threshold) or ``None`` (no band: what is not accepted is dropped). Never above the positive threshold.
        ignore_index: label of what is not accepted; ``None`` = 255 for images and volumes, -1 for (P, K).

    Raises:
        ValueError: a threshold outside [0, 1], or another number of them than classes.
    """

    card = 'pseudo_label_rules'
    tasks: tuple[str, ...] = ('segmentation', 'detection', 'points', 'volumes')
    updates_first = True  # whether a batch counts before it is decided on

    negative: Tensor | None

    def __init__(
        self,
        num_classes: int,
        negative: float | Sequence[float] | str | None = None,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.num_classes = check_integer('num_classes', num_classes, low=1, owner=owner)
        self.ignore_index = ignore_index
        self.progress = 0.0
        if isinstance(negative, str) and negative != 'half':
            raise ValueError(f"{owner}: negative must be a number, one per class, 'half' or None, got {negative!r}.")
        self.half_band = negative == 'half'
        absolute = None if negative is None or isinstance(negative, str) else negative
        self.register_buffer(
            'negative',
            None if absolute is None else per_class('negative', absolute, num_classes, low=0.0, high=1.0, owner=owner),
            persistent=False,
        )

    @abstractmethod
    def thresholds(self) -> Tensor:
        """(K,) float32: the confidence from which class c is accepted at present; above 1 = never."""

    def forward(self, probs: Tensor, valid: Tensor | None = None, indices: Tensor | None = None) -> PseudoLabels:
        """Label a batch; in train mode also update the state of the rule.

        Args:
            probs: class probabilities (N, K, *spatial) or (P, K), any float dtype.
            valid: bool (N, *spatial) or (P,), False where padded; ``None`` = all valid. Elements whose probabilities
                are NaN are never accepted and never counted.
            indices: (N,) int64, which items of the unlabelled set these are, for rules that remember items.

        Returns:
            :class:`PseudoLabels`. With nothing accepted: ignore index and weight 0 everywhere.

        Raises:
            ValueError: the shapes do not fit.
        """
        with torch.no_grad(), torch.autocast(probs.device.type, enabled=False):
            seen = self._predictions(probs, valid, indices)
            if self.training and self.updates_first:
                self.update(seen)
            label, accepted = self.decide(seen)
            kept = accepted & seen.valid
            weight = self.weigh(kept)
            if self.training and not self.updates_first:
                self.update(seen)
            return self._labels(label, kept, weight, probs.ndim)

    def update(self, seen: Predictions) -> None:
        """Count a batch; the rules without state do nothing."""

    def decide(self, seen: Predictions) -> tuple[Tensor, Tensor]:
        """The class of each element and whether it is accepted (validity is seen to by the caller)."""
        limit = self.thresholds().to(seen.confidence.device)
        return seen.predicted, seen.confidence >= limit[seen.predicted]

    def weigh(self, accepted: Tensor) -> Tensor:
        """The weight of accepted elements: a float32 scalar or one per element."""
        return torch.ones((), device=accepted.device)

    @torch.no_grad()
    def select(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Sort items (boxes, components, points) by the thresholds of their class.

        Args:
            scores: (M,) confidence of each item.
            labels: (M,) int64 its class.

        Returns:
            (M,) int8: 1 = positive (score >= POS of the class), -1 = ignored (NEG <= score < POS), 0 = dropped.

        Raises:
            ValueError: the shapes differ, or a label is no class.
        """
        if scores.shape != labels.shape or scores.ndim != 1:
            raise ValueError(
                f'{type(self).__name__}.select: scores and labels must be (M,) each, but are {tuple(scores.shape)} '
                f'and {tuple(labels.shape)}.'
            )
        if reads_values(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self.num_classes:
            raise ValueError(
                f'{type(self).__name__}.select: labels must lie in [0, {self.num_classes}), but span '
                f'[{int(labels.min())}, {int(labels.max())}].'
            )
        positive = self.thresholds().to(scores.device)
        negative = self.negative_thresholds().to(scores.device)
        values = scores.float()
        accepted, banded = values >= positive[labels], values >= negative[labels]
        return accepted.to(torch.int8) - (banded & ~accepted).to(torch.int8)

    def negative_thresholds(self) -> Tensor:
        """(K,) float32: the score below which an item of class c is dropped."""
        positive = self.thresholds()
        if self.half_band:
            return 0.5 * positive
        return positive if self.negative is None else torch.minimum(self.negative.to(positive), positive)

    def set_progress(self, progress: float) -> None:
        """Tell how much of the training is over, in [0, 1], for rules with a schedule; not stored."""
        self.progress = min(max(float(progress), 0.0), 1.0)

    def extra_losses(self, logits: Tensor, pseudo: PseudoLabels) -> dict[str, Tensor]:
        """Loss terms of the rule itself (name -> scalar with graph), for the student's logits of the strong view.

        Args:
            logits: (N, K, *spatial) or (P, K), with graph.
            pseudo: what ``forward`` returned for the same elements.
        """
        return {}

    def _predictions(self, probs: Tensor, valid: Tensor | None, indices: Tensor | None) -> Predictions:
        """Check the shapes and find confidence, class and validity."""
        owner = type(self).__name__
        values, usable = checked_probabilities(probs, valid, self.num_classes, owner)
        if indices is not None and indices.shape != probs.shape[:1]:
            raise ValueError(
                f'{owner}: indices must have shape {tuple(probs.shape[:1])}, but has {tuple(indices.shape)}.'
            )
        confidence, predicted = values.max(1)
        return Predictions(values, confidence, predicted, usable, indices)

    def _labels(self, label: Tensor, kept: Tensor, weight: Tensor, ndim: int) -> PseudoLabels:
        """Put the ignore index where nothing is kept, and count."""
        ignore = self.ignore_index if self.ignore_index is not None else (255 if ndim > 2 else -1)
        counts = count_values(torch.where(kept, label, self.num_classes), self.num_classes + 1)
        return PseudoLabels(
            torch.where(kept, label, ignore), torch.where(kept, weight, 0.0).float(), counts[: self.num_classes]
        )
