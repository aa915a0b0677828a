"""Self-adaptive thresholds: how confident the teacher is in general and in each class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.pseudo_label.class_values import valid_class_sums
from imbdense.core.pseudo_label.confidence_histogram import ConfidenceHistogram
from imbdense.core.pseudo_label.free_fairness import free_fairness
from imbdense.core.pseudo_label.labeler import Predictions, PseudoLabeler, PseudoLabels
from imbdense.core.reduction import count_values
from imbdense.core.stats import sum_over_ranks


def free_thresholds(threshold: Tensor | float, prob_model: Tensor) -> Tensor:
    """tau_c = tau * p_c / max_k p_k, (K,).

    Example: p = (.5, .3, .2), tau = .8: (.80, .48, .32).
    """
    return threshold * prob_model / prob_model.max()


class FreeThreshold(PseudoLabeler):
    """Thresholds that follow the teacher's mean confidence, lower for classes it gives less probability (FreeMatch).

    Moving averages over the valid elements of all ranks, lambda = ``momentum``::

        tau <- lambda tau + (1 - lambda) mean q          (or a quantile of q)
        p_c <- lambda p_c + (1 - lambda) mean p_c
        h_c <- lambda h_c + (1 - lambda) share predicted as c
        accepted iff q >= tau * p_c / max p

    All begin at 1 / K. A batch counts before it is decided on; one without a valid element changes nothing.

    With ``fairness`` > 0 :meth:`extra_losses` gives ``loss_fairness`` = fairness * :func:`free_fairness`.

    State (persistent): tau (), p (K,), h (K,) float32; with ``quantile`` the histogram of the last step.

    Args:
        num_classes: K >= 1.
        momentum: lambda in [0, 1).
        quantile: use this quantile of q in the place of its mean, in (0, 1] (the released code offers .8), with linear
            interpolation; taken from a histogram, so below the exact one by less than .0012.
        clip: upper limit of tau (released code: .95); ``None`` = none.
        fairness: weight of the fairness term, >= 0 (papers: .01 to .05).
        negative, ignore_index: see :class:`PseudoLabeler`.

    Source: Wang et al., FreeMatch, ICLR 2023.
    """

    threshold: Tensor
    prob_model: Tensor
    label_hist: Tensor

    def __init__(
        self,
        num_classes: int,
        momentum: float = 0.999,
        quantile: float | None = None,
        clip: float | None = None,
        fairness: float = 0.0,
        negative: float | Sequence[float] | str | None = None,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(num_classes, negative, ignore_index)
        owner = 'FreeThreshold'
        self.momentum = check_number('momentum', momentum, low=0.0, high=1.0, owner=owner)
        self.quantile = None if quantile is None else check_number('quantile', quantile, low=0.0, high=1.0, owner=owner)
        self.clip = 1.0 if clip is None else check_number('clip', clip, low=0.0, high=1.0, owner=owner)
        self.fairness = check_number('fairness', fairness, low=0.0, owner=owner)
        self.histogram = None if quantile is None else ConfidenceHistogram(1)
        self.register_buffer('threshold', torch.tensor(1.0 / num_classes))
        self.register_buffer('prob_model', torch.full((num_classes,), 1.0 / num_classes))
        self.register_buffer('label_hist', torch.full((num_classes,), 1.0 / num_classes))

    def thresholds(self) -> Tensor:
        """(K,) float32; see :func:`free_thresholds`."""
        return free_thresholds(self.threshold, self.prob_model)

    def update(self, seen: Predictions) -> None:
        """Move the three averages."""
        classes = self.num_classes
        probs = valid_class_sums(seen.probs, seen.valid)
        labels = count_values(torch.where(seen.valid, seen.predicted, classes), classes + 1)
        labels[classes] = seen.valid.sum()
        total = torch.where(seen.valid, seen.confidence, 0.0).sum().double()
        probs, labels, total = sum_over_ranks(probs, labels, total)
        number = labels[classes].double()
        at_least = number.clamp_min(1.0)
        confidence = total / at_least if self.quantile is None else self._quantile(seen)
        self._move(self.threshold, confidence, number)
        self.threshold.clamp_(0.0, self.clip)
        self._move(self.prob_model, probs / at_least, number)
        self._move(self.label_hist, labels[:classes] / at_least, number)

    def extra_losses(self, logits: Tensor, pseudo: PseudoLabels) -> dict[str, Tensor]:
        """``loss_fairness``, when ``fairness`` > 0."""
        if self.fairness == 0:
            return {}
        term = free_fairness(logits, pseudo.weight > 0, self.prob_model, self.label_hist)
        return {'loss_fairness': self.fairness * term}

    def _move(self, average: Tensor, now: Tensor, number: Tensor) -> None:
        average.copy_(torch.where(number > 0, torch.lerp(now.to(average), average, self.momentum), average))

    def _quantile(self, seen: Predictions) -> Tensor:
        """The quantile of the confidences of all ranks."""
        if self.histogram is None or self.quantile is None:
            raise ValueError('FreeThreshold: no quantile was asked for.')
        self.histogram.clear()
        self.histogram.add(seen.confidence, torch.zeros_like(seen.predicted), seen.valid)
        number = self.histogram.totals()
        place = self.quantile * (number - 1).clamp_min(0).double()
        low, high = (self.histogram.at_ranks(number - end.long()) for end in (place.floor(), place.ceil()))
        return torch.nan_to_num(torch.lerp(low, high, place.frac().to(low)).squeeze(0))
