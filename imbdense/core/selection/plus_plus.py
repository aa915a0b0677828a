"""k-means++: draw rows with a probability that follows their squared distance to what is drawn already."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.selection.distances import CentreTable, distances_to_origin, origin_of
from imbdense.core.selection.feature_rows import FeatureRows

BATCH = 1024
GROWTH = 4
"""The number of drawn rows may grow by this factor between two passes."""


def plus_plus_rows(
    rows: FeatureRows, count: int, rng: np.random.Generator, weights: NDArray[np.float64] | None = None
) -> NDArray[np.int64]:
    """Draw ``count`` different rows: the first evenly, each further one ~ squared distance to the nearest drawn one.

    Exactly that distribution, but in few passes over the rows: candidates are drawn by distances that are out of date
    and accepted with probability (distance now) / (distance then), which only falls. Where all remaining rows equal a
    drawn one, the lowest ones follow.

    Args:
        rows: N rows.
        count: in [1, N].
        rng: where the draws come from.
        weights: (N,) > 0, factors of these probabilities (of the first draw too); ``None`` = 1.

    Returns:
        (count,) int64 in the order drawn.

    Source: Arthur & Vassilvitskii, k-means++, SODA 2007.
    """
    origin = origin_of(rows)
    chunk_rows = rows.chunk_rows()
    from_origin = distances_to_origin(rows, origin, chunk_rows)
    nearest = torch.full((len(rows),), torch.inf, device=rows.device)
    drawn = [int(rng.integers(len(rows)) if weights is None else rng.choice(len(rows), p=weights / weights.sum()))]
    recent = drawn
    while len(drawn) < count:
        _approach(rows, nearest, from_origin, CentreTable(rows[np.array(recent)], origin), chunk_rows)
        nearest[drawn] = 0.0
        recent = _draw_more(rows, nearest.cpu().numpy(), weights, len(drawn), count - len(drawn), rng)
        if not recent:
            free = np.setdiff1d(np.arange(len(rows)), drawn, assume_unique=True)
            recent = free[: count - len(drawn)].tolist()
        drawn = drawn + recent
    return np.array(drawn, dtype=np.int64)


def _approach(rows: FeatureRows, nearest: Tensor, from_origin: Tensor, centres: CentreTable, chunk_rows: int) -> None:
    """Lower ``nearest`` by the distances to new centres."""
    for place, block in rows.chunks(chunk_rows):
        found = (centres.nearest(block)[0] + from_origin[place]).clamp_min_(0)
        torch.minimum(nearest[place], found, out=nearest[place])


def _draw_more(
    rows: FeatureRows, nearest: NDArray[np.float32], weights: NDArray[np.float64] | None, known: int, wanted: int,
    rng: np.random.Generator,
) -> list[int]:  # fmt: skip
    """At most four times as many new rows as are known: distances must not get too old; [] if all are zero."""
    wanted = min(wanted, GROWTH * known)
    edges = np.cumsum(nearest if weights is None else nearest * weights, dtype=np.float64)
    if not edges[-1] > 0:
        return []
    accepted: list[int] = []
    while not accepted:  # the first candidate is always accepted, unless its weight was rounded to zero
        size = min(BATCH, 2 * wanted + 4)
        candidates = np.searchsorted(edges, rng.random(size) * edges[-1], side='right').clip(0, len(rows) - 1)
        chance = rng.random(size)
        block = rows[candidates]
        squared = block.square().sum(1)
        now = torch.from_numpy(nearest[candidates]).to(block)
        then = nearest[candidates]
        for i, row in enumerate(candidates.tolist()):
            if row in accepted or not chance[i] * then[i] < float(now[i]):
                continue
            accepted.append(row)
            if len(accepted) == wanted:
                break
            now = torch.minimum(now, (squared + squared[i] - 2 * block @ block[i]).clamp_min_(0))
    return accepted
