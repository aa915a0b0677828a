"""Class-balanced self-training: the same share of every class is labelled, in growing rounds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.pseudo_label.labeler import Predictions
from imbdense.core.pseudo_label.rank_threshold import portion_ranks
from imbdense.core.pseudo_label.rounds import RoundThreshold


def class_balanced_labels(probs: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
    """Label with the class that is most confident *for its class*::

        y = argmax_c p_c / theta_c        kept iff max_c p_c / theta_c >= 1

    A class with a low threshold can win over the predicted one.

    Args:
        probs: (N, K, *spatial) or (P, K).
        thresholds: (K,) > 0.

    Returns:
        (label int64, kept bool), (N, *spatial) or (P,).

    Example: p = (.7, .3), theta = (.8, .25): ratios .875 and 1.2, so class 1, kept.
    """
    view = (1, -1) + (1,) * (probs.ndim - 2)
    ratio, label = (probs / thresholds.to(probs).clamp_min(1e-12).view(view)).max(1)
    return label, ratio >= 1.0


def lrent_soft_labels(probs: Tensor, thresholds: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Soft labels of CRST's entropy-regularised self-training (LRENT)::

        t_c = (p_c / theta_c)^(1 / alpha) / sum_k (p_k / theta_k)^(1 / alpha)
        kept iff  sum_c(-t_c log p_c + alpha t_c log t_c) < sum_c -t_c log theta_c

    Args:
        probs: (N, K, *spatial) or (P, K).
        thresholds: (K,) > 0.
        alpha: strength of the regulariser, > 0; towards 0 the labels become those of :func:`class_balanced_labels`.

    Returns:
        (soft labels float32 of the shape of ``probs``, kept bool (N, *spatial) or (P,)).

    Source: Zou et al., Confidence Regularized Self-Training, ICCV 2019.
    """
    check_number('alpha', alpha, low=0.0, low_open=True, owner='lrent_soft_labels')
    view = (1, -1) + (1,) * (probs.ndim - 2)
    log_p = probs.float().clamp_min(1e-30).log()
    log_theta = thresholds.to(log_p).clamp_min(1e-30).log().view(view)
    log_soft = torch.log_softmax((log_p - log_theta) / alpha, 1)
    soft = log_soft.exp()
    cost = (soft * (alpha * log_soft - log_p)).sum(1)
    return soft, cost < -(soft * log_theta).sum(1)


class ClassBalancedThreshold(RoundThreshold):
    """Label the same, growing share of every class: class-balanced self-training (CBST).

    At the end of round r the threshold of class c is the confidence at rank floor(rho_r * n_c) of the n_c elements
    predicted as c, with ``rho_r = min(end, start + step * r)``. Labels: :func:`class_balanced_labels`.

    All elements are counted, not every fourth as in the released code; a class without predictions keeps its last
    threshold (>= .3) instead of 1, with which it could never be labelled again. State: see :class:`RoundThreshold`.

    Args:
        num_classes: K >= 1.
        start, end, step: share of each class that is labelled, in [0, 1], in the first and in the last round, and how
            much it grows from round to round.
        round_steps, initial, negative, ignore_index: see :class:`RoundThreshold`.

    Source: Zou et al., Class-balanced self-training, ECCV 2018.
    """

    def __init__(
        self,
        num_classes: int,
        start: float = 0.2,
        end: float = 0.5,
        step: float = 0.05,
        round_steps: int | None = 500,
        initial: float = 0.9,
        negative: float | Sequence[float] | str | None = None,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(num_classes, round_steps, initial, negative, ignore_index)
        owner = 'ClassBalancedThreshold'
        self.start = check_number('start', start, low=0.0, high=1.0, owner=owner)
        self.end = check_number('end', end, low=self.start, high=1.0, owner=owner)
        self.step = check_number('step', step, low=0.0, high=1.0, owner=owner)

    @property
    def portion(self) -> float:
        """rho of the round that is being counted."""
        return min(self.end, self.start + self.step * self.rounds.steps)

    def ranks(self, predicted: Tensor) -> Tensor:
        """(K,): floor(rho * n_c)."""
        return portion_ranks(predicted, self.portion)

    def decide(self, seen: Predictions) -> tuple[Tensor, Tensor]:
        """argmax p / theta, kept from 1."""
        return class_balanced_labels(seen.probs, self.limits)
