"""The fairness term of FreeMatch: the student's predictions should not starve any class."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.reduction import full_precision


def free_fairness(logits: Tensor, accepted: Tensor, prob_model: Tensor, label_hist: Tensor) -> Tensor:
    """Push the mean prediction of the strong view towards what the teacher's running means say::

        L = sum_c Norm(p / h)_c * log Norm(pbar / hbar)_c

    p, h: running mean probability and label histogram of the teacher; pbar, hbar: those of the student over the
    accepted elements. It is added with a positive weight and minimised: the normalised mean prediction is spread out.
    A class with h = 0 is left out (1 / 0 counts as 0, as in the released code).

    hbar is floored at 1 / (10 n) for n accepted elements. Without the floor a class that the student never predicts
    adds a constant and no gradient, so exactly the starved classes would not be pushed.

    Args:
        logits: student, strong view, (N, K, *spatial) or (P, K), with graph.
        accepted: bool (N, *spatial) or (P,).
        prob_model, label_hist: (K,), no gradient.

    Returns:
        float32 scalar (float64 for float64 logits); an exact 0 with a graph when nothing is accepted.

    Source: Wang et al., FreeMatch, ICLR 2023.
    """
    values = full_precision(logits)
    classes = values.shape[1]
    mask = accepted.unsqueeze(1)
    probs = torch.where(mask, torch.softmax(values, 1), 0.0).movedim(1, -1).reshape(-1, classes)
    number = accepted.sum()
    at_least = number.clamp_min(1).to(values.dtype)
    with torch.no_grad():
        predicted = torch.where(accepted, values.argmax(1), classes).flatten()
        hist = values.new_zeros(classes + 1).scatter_add_(0, predicted, torch.ones_like(predicted, dtype=values.dtype))
        hist = (hist[:classes] / at_least).clamp_min(1.0 / (10.0 * at_least))
        teacher = torch.where(label_hist > 0, prob_model / label_hist, 0.0)
        wanted = _normalised(teacher.to(values))
    found = _normalised(probs.sum(0) / at_least / hist)
    term = (wanted * torch.log(found + 1e-12)).sum()
    return torch.where(number > 0, term, probs.sum() * 0.0)


def _normalised(values: Tensor) -> Tensor:
    return values / values.sum().clamp_min(1e-12)
