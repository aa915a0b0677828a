"""The random numbers of a transform, derived from the host's seeding."""

from __future__ import annotations

import numpy as np


def host_generator() -> np.random.Generator:
    """Return a generator seeded by one draw from numpy's global stream.

    mmengine seeds that stream per worker and rank, and the whole host pipeline draws from it: taking one number per
    call makes a transform follow the host's seed (and resume with it) while its own code draws from a generator.
    """
    return np.random.default_rng(np.random.randint(0, 2**31))
