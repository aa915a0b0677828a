"""What the samplers share: an index stream of the core behind mmengine's sampler contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from mmengine.logging import print_log
from numpy.typing import NDArray
from torch.utils.data import Sampler

from imbdense.core.checks import check_integer
from imbdense.core.sampling import IndexStream, sampling_effect
from imbdense.core.stats import ImageClassTable
from imbdense.mm.samplers.dataset_table import class_names


class StreamSampler(Sampler):
    """Serve one rank's part of an :class:`~imbdense.core.sampling.IndexStream` to a data loader.

    **Epoch-based loops** (``infinite=False``): ``set_epoch(e)`` chooses the epoch, ``len`` is the draws per rank and
    epoch, the same in every epoch. A resumed run draws epoch e as the uninterrupted run did.

    **Iteration-based loops** (``infinite=True``, the place of mmengine's ``InfiniteSampler``): the epochs follow each
    other without end; ``skip(n)``, which mmengine calls on resume with the samples this rank has consumed, jumps there
    at the cost of one epoch's draw. A resumed run goes on with the very samples of the uninterrupted run. With
    ``infinite=False`` an iteration-based loop is right too, but mmengine restarts its workers after each epoch.

    **Ranks**: every rank draws the same epoch and takes every world-size-th index (or group of them). With
    ``seed=None`` the seed of rank 0 is broadcast (a collective: build the sampler on every rank).

    Args:
        dataset: the data set that is drawn from.
        stream: which image comes when.
        seed: seed of the drawing, >= 0; ``None`` = one random seed for all ranks.
        round_up: pad an epoch to a multiple of the number of ranks (by its first draws), so that all ranks get
            equally many. Without effect when ``infinite``.
        infinite: endless stream for iteration-based loops.

    Attributes:
        group: consecutive draws that one rank gets together: 1, or the batch size where whole batches are dealt out.
    """

    group = 1

    def __init__(
        self, dataset: Sized, stream: IndexStream, seed: int | None, round_up: bool, infinite: bool
    ) -> None:
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.stream = stream
        self.seed = sync_random_seed() if seed is None else check_integer('seed', seed, low=0, owner=self.name)
        self.round_up = bool(round_up)
        self.infinite = bool(infinite)
        self.epoch = 0
        self._start = 0

    @property
    def name(self) -> str:
        """Registered name, for messages."""
        return type(self).__name__

    def __iter__(self) -> Iterator[int]:
        """Yield this rank's indices: of one epoch, or without end from the position :meth:`skip` set."""
        if self.infinite:
            return self.stream.endless(self.seed, self.rank, self.world_size, self._start)
        part = self.stream.rank_epoch(self.seed, self.epoch, self.rank, self.world_size, round_up=self.round_up)
        return iter(part.tolist())

    def __len__(self) -> int:
        """Draws of this rank per epoch."""
        return self.stream.rank_length(self.rank, self.world_size, round_up=self.round_up)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; without effect on an endless stream."""
        self.epoch = int(epoch)

    @property
    def skip(self) -> Callable[[int], None]:
        """``skip(n)``: start an endless stream after this rank's first n indices (absolute, not from here).

        A finite sampler has no ``skip``, so that mmengine walks its epochs step by step: their last batch may be
        partial, hence n = iterations * batch size would point to a wrong place.
        """
        if not self.infinite:
            raise AttributeError(f'{self.name}: skip needs infinite=True.')
        return self._skip

    def _skip(self, num_samples: int) -> None:
        """See :attr:`skip`."""
        self._start = check_integer('num_samples', num_samples, low=0, owner=self.name)

    def draw_rates(self) -> NDArray[np.float64]:
        """Return (I,) expected draws of each image per epoch (over all ranks, without padding)."""
        return self.stream.draw_rates()

    def prior_effect(self, table: ImageClassTable) -> NDArray[np.float64]:
        """Return (C,) expected amount per class and epoch, in the unit of ``table`` (pixels or objects).

        Raises:
            ValueError: ``table`` has another number of images than the data set that is drawn from.
        """
        return table.expected_totals(self.draw_rates())

    def log_effect(self, table: ImageClassTable) -> None:
        """Write to the log how often images and classes of ``table`` come and what is left of the imbalance."""
        effect = sampling_effect(table, self.draw_rates())
        names = class_names(self.dataset, range(table.num_classes))
        print_log(f'{self.name}: {effect.describe(names)}', logger='current')


def check_shuffle(shuffle: bool, owner: str) -> None:
    """Refuse ``shuffle=False``; the argument exists so that changing ``type`` alone replaces a host's sampler."""
    if not shuffle:
        raise ValueError(f'{owner}: shuffle must be True, a sampler that rebalances draws at random.')
