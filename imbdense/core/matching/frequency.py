"""Frequency-based matching: a target of a rare class is answered by several queries."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from imbdense.core.checks import check_number


def matches_per_class(frequency: ArrayLike, *, scale: float = 2.0, threshold: float = 1.2e-3) -> NDArray[np.int64]:
    """Return how many queries a target of each class is matched with, (C,) int64::

        q_c = ceil( max(1, s * sqrt(t / f_c)) )

    Args:
        frequency: (C,) share of the images that hold the class, in [0, 1]. A class that no image holds is treated like
            the rarest one.
        scale, threshold: s and t > 0; published: s = 2, t = 3e-4 (ADE20K-Full), 1.2e-3 (COCO-Stuff-LT), 2.4e-3
            (MHP-v2-LT).

    Example: s = 2, t = 1.2e-3, f = [.5, 1.2e-3, 3e-4] gives [1, 2, 4].

    Raises:
        ValueError: shares outside [0, 1], or no class in any image.

    Source: the frequency-based matcher of the long-tailed semantic segmentation benchmark (Mask2Former-LT).
    """
    owner = 'matches_per_class'
    scale = check_number('scale', scale, low=0.0, low_open=True, owner=owner)
    threshold = check_number('threshold', threshold, low=0.0, low_open=True, owner=owner)
    shares = np.asarray(frequency, dtype=np.float64)
    if shares.ndim != 1 or not np.isfinite(shares).all() or (shares < 0).any() or (shares > 1).any():
        raise ValueError(f'{owner}: frequency must hold one share of images in [0, 1] per class, got {frequency!r}.')
    if not (shares > 0).any():
        raise ValueError(f'{owner}: no image holds any class. Count the data set again: `imbdense stats CONFIG`.')
    shares = np.where(shares > 0, shares, shares[shares > 0].min())
    wanted = np.maximum(1.0, scale * np.sqrt(threshold / shares))
    return np.ceil(wanted - 1e-9).astype(np.int64)  # 2 * sqrt(1) must not become 3 by a rounding error


def cap_matches(matches: ArrayLike, queries: int) -> NDArray[np.int64]:
    """Return the matches of each target, lowered so that they sum to at most ``queries``.

    The largest number is lowered by one until they fit; none falls below 1, also when there are more targets than
    queries.
    """
    result = np.array(matches, dtype=np.int64)
    for _ in range(int(result.sum()) - max(queries, result.size)):
        result[result.argmax()] -= 1
    return result


def match_with_copies(cost: ArrayLike, matches: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (queries, targets) of the cheapest assignment in which target j is matched ``matches[j]`` times.

    The column of each target is copied, one Hungarian assignment is solved, and the copies are mapped back.

    Args:
        cost: (Q, G) finite.
        matches: (G,) >= 1 of :func:`cap_matches`. With sum(matches) > Q some copies stay unmatched.

    Returns:
        Two int64 arrays of equal length; every query occurs at most once.

    Raises:
        ValueError: ``cost`` is not finite, or the shapes disagree.
    """
    costs, copies = np.asarray(cost, dtype=np.float64), np.asarray(matches, dtype=np.int64)
    if costs.ndim != 2 or copies.shape != (costs.shape[1],):
        raise ValueError(f'match_with_copies: cost {costs.shape} and matches {copies.shape} must be (Q, G) and (G,).')
    if not np.isfinite(costs).all():
        raise ValueError(
            'match_with_copies: the matching cost holds NaN or infinite values; the predictions diverged (lower the '
            'learning rate, or add imbdense.NanGuardHook to see where).'
        )
    targets = np.repeat(np.arange(copies.size), copies)
    rows, columns = linear_sum_assignment(costs[:, targets])
    return rows.astype(np.int64), targets[columns].astype(np.int64)
