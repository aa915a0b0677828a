"""Random streams: one independent generator per subsystem, per object and per image.

A stream is addressed by a name and integers, never by the order of calls, so that adding a subsystem, changing the
number of workers or asking for more instances of one class leaves every other stream untouched.
"""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, name: str, *index: int) -> np.random.Generator:
    """Return the generator of subsystem ``name`` (and ``index``, for example an instance or image number).

    ``SeedSequence(seed, spawn_key=(crc32(name), *index))`` feeds a PCG64: streams of different addresses are
    statistically independent, the same address always gives the same numbers.
    """
    key = (zlib.crc32(name.encode('utf-8')), *(int(number) for number in index))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(int(seed), spawn_key=key)))


def child_seed(seed: int, name: str, *index: int) -> int:
    """Return a 31-bit seed derived from ``(seed, name, index)``, for example the seed of one scene of a data set."""
    return int(stream(seed, name, *index).integers(0, 2**31 - 1))
