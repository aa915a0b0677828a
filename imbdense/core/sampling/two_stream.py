"""Batches of labelled and unlabelled images in a fixed ratio."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_integer
from imbdense.core.sampling.streams import IndexStream, epoch_generator


class TwoStream(IndexStream):
    """Every batch holds a fixed number of labelled images, then a fixed number of unlabelled ones.

    An epoch is as long as the longer of the two lists lasts; the shorter one is gone through again, in a new order each
    time. Batches, not single images, are dealt out to the ranks: rank r gets the batches r, r + world, ..., so the
    ratio holds on every rank.

    Args:
        labeled: L >= 1 images with the indices 0 ... L - 1.
        unlabeled: U >= 1 images with the indices L ... L + U - 1.
        per_batch: (labelled, unlabelled) images of a batch, each >= 1.

    Raises:
        ValueError: a number below 1.
    """

    def __init__(self, labeled: int, unlabeled: int, per_batch: tuple[int, int]) -> None:
        self.sizes = (check_integer('labeled', labeled, low=1), check_integer('unlabeled', unlabeled, low=1))
        self.per_batch = (
            check_integer('per_batch[0]', per_batch[0], low=1), check_integer('per_batch[1]', per_batch[1], low=1)
        )  # fmt: skip
        self.batch_size = sum(self.per_batch)
        self.batches = max(-(-size // part) for size, part in zip(self.sizes, self.per_batch))
        self.num_images = sum(self.sizes)
        self.length = self.batches * self.batch_size

    def epoch(self, seed: int, epoch: int) -> NDArray[np.int64]:
        """Return the (batches * batch size,) indices of one epoch, batch after batch."""
        rng = epoch_generator(seed, epoch)
        columns = [
            _cycled(size, self.batches * part, rng).reshape(self.batches, part) + start
            for size, part, start in zip(self.sizes, self.per_batch, (0, self.sizes[0]))
        ]
        return np.concatenate(columns, axis=1).ravel()

    def draw_rates(self) -> NDArray[np.float64]:
        """Return (I,) expected draws of each image per epoch; they sum to the length."""
        return np.concatenate([
            np.full(size, self.batches * part / size) for size, part in zip(self.sizes, self.per_batch)
        ])

    def rank_epoch(
        self, seed: int, epoch: int, rank: int = 0, world_size: int = 1, *, round_up: bool = True
    ) -> NDArray[np.int64]:
        """Return the batches of one rank; with ``round_up`` the first ones again, so that all have equally many."""
        table = self.epoch(seed, epoch).reshape(self.batches, self.batch_size)
        if round_up:
            table = np.resize(table, (-(-self.batches // world_size) * world_size, self.batch_size))
        return table[rank::world_size].ravel()

    def rank_length(self, rank: int = 0, world_size: int = 1, *, round_up: bool = True) -> int:
        """Return the length of :meth:`rank_epoch` without drawing it."""
        left = self.batches if round_up else self.batches - rank
        return max(0, -(-left // world_size)) * self.batch_size

    def endless(self, seed: int, rank: int = 0, world_size: int = 1, start: int = 0) -> Iterator[int]:
        """Yield one rank's indices of epoch 0, 1, 2, ... without end, after its first ``start`` ones."""
        batch, inside = divmod(check_integer('start', start, low=0), self.batch_size)
        position = batch * world_size + rank
        while True:
            epoch, offset = divmod(position, self.batches)
            part = self.epoch(seed, epoch).reshape(self.batches, self.batch_size)[offset::world_size]
            yield from part.ravel()[inside:].tolist()
            inside = 0
            position += len(part) * world_size


def _cycled(size: int, amount: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """``amount`` draws from ``range(size)``: one permutation after the other, the last one cut off."""
    rounds = [rng.permutation(size) for _ in range(-(-amount // size))]
    return np.concatenate(rounds)[:amount].astype(np.int64)
