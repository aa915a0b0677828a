"""Index streams: which image comes when, as a pure function of (seed, epoch, rank, number of ranks)."""

from __future__ import annotations

import abc
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_integer


def epoch_generator(seed: int, epoch: int) -> np.random.Generator:
    """Return the generator of one epoch; it depends on ``seed`` and ``epoch`` (both >= 0) and on nothing else."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch])))


def rank_slice(indices: NDArray[np.int64], rank: int, world_size: int, *, round_up: bool = True) -> NDArray[np.int64]:
    """Return every ``world_size``-th index, starting at ``rank``.

    With ``round_up`` the list is first lengthened to a multiple of ``world_size`` by repeating it from its beginning,
    so that every rank gets equally many (a rank that ran out would leave the others waiting in their collectives).
    Without it the ranks partition the list and may differ by one.
    """
    if round_up:
        size = -(-indices.size // world_size) * world_size
        indices = np.resize(indices, size)
    return indices[rank::world_size]


class IndexStream(abc.ABC):
    """An epoch after epoch sequence of image indices, equal on every rank before it is sliced.

    Attributes:
        num_images: I, images of the data set.
        length: L, draws per epoch over all ranks; the same in every epoch.
    """

    num_images: int
    length: int

    @abc.abstractmethod
    def epoch(self, seed: int, epoch: int) -> NDArray[np.int64]:
        """Return the (L,) image indices of one epoch in drawing order."""

    @abc.abstractmethod
    def draw_rates(self) -> NDArray[np.float64]:
        """Return (I,) expected draws of each image per epoch; they sum to L."""

    def rank_epoch(
        self, seed: int, epoch: int, rank: int = 0, world_size: int = 1, *, round_up: bool = True
    ) -> NDArray[np.int64]:
        """Return one rank's part of an epoch; see :func:`rank_slice`."""
        return rank_slice(self.epoch(seed, epoch), rank, world_size, round_up=round_up)

    def rank_length(self, rank: int = 0, world_size: int = 1, *, round_up: bool = True) -> int:
        """Return the length of :meth:`rank_epoch` without drawing it."""
        if round_up:
            return -(-self.length // world_size)
        return max(0, -(-(self.length - rank) // world_size))

    def endless(self, seed: int, rank: int = 0, world_size: int = 1, start: int = 0) -> Iterator[int]:
        """Yield one rank's indices of epoch 0, 1, 2, ... without end and without padding.

        Args:
            start: how many indices of this rank to leave out. It costs one epoch's draw, not ``start`` steps, since
                every epoch has its own generator: a resumed run continues the stream of an uninterrupted one.
        """
        check_integer('start', start, low=0)
        position = start * world_size + rank
        while True:
            epoch, offset = divmod(position, self.length)
            part = self.epoch(seed, epoch)[offset::world_size].tolist()
            yield from part
            position += len(part) * world_size
