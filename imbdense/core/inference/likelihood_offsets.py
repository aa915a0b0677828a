"""One offset per class that makes the mean probability of every class equal to how often it occurs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LIMIT = 20.0
"""Offsets stay within this; a class that is separated perfectly has no finite one."""


def likelihood_offsets(
    logits: NDArray[np.floating],
    target: NDArray[np.integer],
    weight: Floats,
    num_classes: int,
    *,
    use_sigmoid: bool = False,
    rounds: int = 300,
) -> Floats:
    """Return the b (C,) with the highest likelihood of ``target`` under logits z + b.

    At the maximum the summed probability of a class equals the weight of its elements. So it undoes a constant shift of
    a class, whoever made it, and is near 0 for a model trained by cross-entropy on data of the same prior.

    Args:
        logits: (n, C), or (n, C + 1) with a background that gets no offset (softmax).
        target: (n,) in [0, C], C = background or no class. weight: (n,).
        rounds: most rounds of b_c += log(wanted_c / summed probability_c), which never lower the likelihood of a
            softmax; for sigmoids of a bisection.

    Returns:
        b; 0 for a class without an element. Without a background the mean is 0.
    """
    values = np.asarray(logits, dtype=np.float64)
    wanted = np.bincount(target, weights=weight, minlength=num_classes + 1)[:num_classes]
    present = wanted > 0
    if use_sigmoid:
        return np.array(
            [_bisect(values[:, c], weight, wanted[c]) if present[c] else 0.0 for c in range(num_classes)]
        )
    offsets = np.zeros(num_classes)
    shifted = values.copy()
    for _ in range(rounds):
        shifted[:, :num_classes] = values[:, :num_classes] + offsets
        probs = np.exp(shifted - shifted.max(axis=1, keepdims=True))
        probs /= probs.sum(axis=1, keepdims=True)
        given = weight @ probs[:, :num_classes]
        step = np.where(present, np.log(np.maximum(wanted, 1e-300)) - np.log(np.maximum(given, 1e-300)), 0.0)
        offsets = (offsets + step).clip(-LIMIT, LIMIT)
        if np.abs(step).max(initial=0.0) < 1e-4:
            break
    return offsets - offsets.mean() if values.shape[1] == num_classes else offsets


def _bisect(column: Floats, weight: Floats, wanted: float) -> float:
    """The offset at which the weighted sum of sigmoids is ``wanted``; it rises with the offset."""
    low, high = -LIMIT, LIMIT
    for _ in range(40):
        middle = (low + high) / 2
        given = float((weight / (1 + np.exp(-np.clip(column + middle, -500, 500)))).sum())
        low, high = (middle, high) if given < wanted else (low, middle)
    return (low + high) / 2
