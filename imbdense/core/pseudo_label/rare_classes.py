"""Which classes a model predicts so seldom that its pseudo-labels of them should be looked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from imbdense.core.checks import check_integer, check_number


def rarely_predicted(predicted: ArrayLike, share: float = 1e-3, least: int = 3) -> tuple[int, ...]:
    """The classes to be mined: those with less than ``share`` of all predictions, and at least the ``least`` rarest.

    Args:
        predicted: (C,) predictions (pixels) per class, >= 0.
        share: in [0, 1]. least: >= 0; never all classes are chosen for it, at most C - 1.

    Returns:
        Class indices, the rarest first (ties: the lower index); empty when nothing was predicted at all.

    Raises:
        ValueError: an argument is out of range, or ``predicted`` is no vector of counts.

    Source: Zou et al., Class-balanced self-training, ECCV 2018 (mining of rare classes).
    """
    counts = np.asarray(predicted, dtype=np.float64)
    if counts.ndim != 1 or not counts.size or not np.isfinite(counts).all() or (counts < 0).any():
        raise ValueError(f'rarely_predicted: predicted must hold one count >= 0 per class, but is {predicted!r}.')
    check_number('share', share, low=0.0, high=1.0, owner='rarely_predicted')
    check_integer('least', least, low=0, owner='rarely_predicted')
    total = counts.sum()
    if total == 0:
        return ()
    order = np.argsort(counts, kind='stable')
    number = max(int((counts < share * total).sum()), min(least, counts.size - 1))
    return tuple(order[:number].tolist())
