"""Thresholds at a quantile of each class's confidences, by how often the class is labelled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.pseudo_label.labelled_counts import LabelledCounts
from imbdense.core.pseudo_label.rank_threshold import portion_ranks
from imbdense.core.pseudo_label.rounds import RoundThreshold
from imbdense.core.stats import sum_over_ranks

AUTO_RANGE = (0.3, 0.95)
"""The thresholds of ``keep='auto'`` stay in here."""


def class_adaptive_portions(class_counts: Tensor, alpha_min: float = 0.3) -> Tensor:
    """The share of the predictions of class c to keep, larger the rarer the class is labelled::

        alpha_c = min(1, alpha_min * sqrt(n_max / n_c))

    Args:
        class_counts: (K,) >= 0; a class of count 0 gets 1.
        alpha_min: share of the most frequent class, in (0, 1].

    Returns:
        (K,) float64.

    Example: n = (100, 10, 1), alpha_min = .3: (.3, .949, 1).
    """
    check_number('alpha_min', alpha_min, low=0.0, high=1.0, low_open=True, owner='class_adaptive_portions')
    counts = class_counts.double()
    return (alpha_min * (counts.max() / counts.clamp_min(1e-12)).sqrt()).clamp_max(1.0)


def labelled_frequency_ranks(predicted: Tensor, class_counts: Tensor, ratio: float | Tensor) -> Tensor:
    """How many predictions of class c to keep so that they are as frequent as the labels: floor(n_c^lab * ratio).

    Args:
        predicted: (K,) predictions of each class; the result is never above.
        class_counts: (K,) labels of each class.
        ratio: unlabelled units / labelled units (images, or pixels).

    Returns:
        (K,) int64.
    """
    wanted = (class_counts.double() * ratio).floor().long()
    return torch.minimum(wanted, predicted.long())


class QuantileThreshold(RoundThreshold):
    """Keep a number of predictions of each class that follows from how often the class is labelled.

    ``keep='auto'``: as many of class c as its labels would make of the unlabelled data,
    floor(n_c^lab * N_unlab / N_lab); thresholds stay in [.3, .95] (after ReDB).
    ``keep='class_adaptive'``: the share alpha_c of :func:`class_adaptive_portions`; the threshold is the
    (1 - alpha_c)-quantile.

    N counts valid pixels, or images where the counts are objects. State: see :class:`RoundThreshold`, plus the counts
    of the labels and the images seen in this round.

    Args:
        num_classes: K >= 1.
        keep: 'auto' or 'class_adaptive'.
        class_counts: (K,) counts of the labelled set; ``None`` = ``ClassCountHook`` hands them over.
        labelled_images: images that ``class_counts`` come from, when they are objects; ``None`` = pixels.
        alpha_min: share of the most frequent class for 'class_adaptive', in (0, 1].
        round_steps, initial, negative, ignore_index: see :class:`RoundThreshold`.

    Source: Chen et al., ReDB, ICCV 2023 (per-class thresholds); Yang & Xu, Rethinking the value of labels, NeurIPS 2020
    (self-training of long-tailed classes).
    """

    images: Tensor

    def __init__(
        self,
        num_classes: int,
        keep: Literal['auto', 'class_adaptive'] = 'auto',
        class_counts: Sequence[float] | None = None,
        labelled_images: int | None = None,
        alpha_min: float = 0.3,
        round_steps: int | None = 500,
        initial: float = 0.9,
        negative: float | Sequence[float] | str | None = None,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(num_classes, round_steps, initial, negative, ignore_index)
        owner = 'QuantileThreshold'
        self.keep = check_choice('keep', keep, ('auto', 'class_adaptive'), owner=owner)
        self.alpha_min = check_number('alpha_min', alpha_min, low=0.0, high=1.0, low_open=True, owner=owner)
        if labelled_images is not None:
            check_integer('labelled_images', labelled_images, low=1, owner=owner)
        self.labelled = LabelledCounts(num_classes, class_counts, labelled_images, owner)
        self.register_buffer('images', torch.zeros((), dtype=torch.int64))

    def ranks(self, predicted: Tensor) -> Tensor:
        """(K,) int64; see the class."""
        counts = self.labelled.read()
        if self.keep == 'class_adaptive':
            return portion_ranks(predicted, class_adaptive_portions(counts, self.alpha_min))
        units = torch.where(self.images > 0, self.images, predicted.sum()).double()
        return labelled_frequency_ranks(predicted, counts, units / self.labelled.units)

    @torch.no_grad()
    def observe(self, scores: Tensor, labels: Tensor, images: int = 1) -> None:
        """Count the items of one step of this rank.

        Args:
            scores: (M,) confidences; all of them, not only those that are accepted.
            labels: (M,) int64 classes.
            images: how many images they come from.
        """
        if self.training:
            self.images += sum_over_ranks(torch.full_like(self.images, images))[0]
        super().observe(scores, labels)

    def end_round(self) -> None:
        """As in the base; the images are counted anew."""
        super().end_round()
        self.images.zero_()

    def clip(self, limits: Tensor) -> Tensor:
        """[.3, .95] for 'auto'."""
        return limits.clamp(*AUTO_RANGE) if self.keep == 'auto' else limits
