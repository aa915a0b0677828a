"""The density of overlapped-boxes counts against scipy's kernel density estimate."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import gaussian_kde

from imbdense.benchmark.speed_case import SpeedCase, Workload, require_close
from imbdense.core.pseudo_label import count_density

OBJECTS, PROPOSALS = 6000, 1024


def density(scale: float) -> Workload:
    """Counts of up to 1024 proposals with a long tail; nearly every value occurs, so the distinct ones are many."""
    rng = np.random.default_rng(0)
    counts = np.minimum(rng.negative_binomial(1, 0.004, int(OBJECTS * scale)), PROPOSALS)

    def check(ours: Any, peer: Any) -> str:
        return require_close('density, relative', ours / peer, np.ones(peer.size), 1e-12)

    return Workload(lambda: count_density(counts), lambda: gaussian_kde(counts)(counts), check)


CASES = (
    # Growth from 3e5 to 1.2e6 objects: below, the table of distinct counts is the larger part, and that does not grow.
    SpeedCase('obc-kde', 'kernel density of overlapped-boxes counts, 6000 objects', 'scipy gaussian_kde', 0.03, density,
              small=50.0),
)
