"""Random numbers that depend on *where* training is, not on how it got there.

Each sample is loaded with generators seeded by (seed, rank, epoch, position in the stream) and each training iteration
starts with generators seeded by (seed, rank, iteration). Nothing has to be stored in a checkpoint: a run that was
killed and resumed draws the same numbers as one that was not, on any number of workers.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

_DATA_STREAM, _MODEL_STREAM = 0, 1


class SampleError(RuntimeError):
    """A sample failed in the data pipeline; the message names its files."""


def seed_generators(*key: int) -> None:
    """Seed Python's, NumPy's and torch's global generators from the integers ``key`` (mixed by ``SeedSequence``)."""
    state = np.random.SeedSequence([int(number) & 0xFFFFFFFFFFFFFFFF for number in key]).generate_state(4)
    random.seed(int(state[0]))
    np.random.seed(int(state[1]))
    torch.manual_seed((int(state[2]) << 32) | int(state[3]))


@contextlib.contextmanager
def seeded_generators(*key: int) -> Iterator[None]:
    """Run the body with the global generators seeded from ``key``, and give them back as they were."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed_generators(*key)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def seed_iteration(seed: int, rank: int, iteration: int) -> None:
    """Seed the generators for the model's randomness (dropout, sampling of proposals) in one training iteration."""
    seed_generators(seed, rank, _MODEL_STREAM, iteration)


class Draw(int):
    """A dataset index that knows its place in the stream: ``epoch`` and ``position`` (both int)."""

    epoch: int
    position: int

    @classmethod
    def at(cls, index: int, epoch: int, position: int) -> Draw:
        """The ``position``-th draw of ``epoch`` is ``index``."""
        draw = cls(index)
        draw.epoch, draw.position = epoch, position
        return draw


class NumberedSampler:
    """Pass on the indices of ``sampler`` as :class:`Draw`; every other attribute is the sampler's own.

    Args:
        sampler: any sampler of dataset indices.
        loop: the training loop, asked for its epoch when iteration starts.
        by_epoch: positions start at zero in each pass (an epoch loop starts a new pass after resuming). Without it
            they go on counting over passes.
        start: the first position, where the loop makes the sampler skip what was consumed before it was stopped.
    """

    def __init__(self, sampler: Any, loop: Any, by_epoch: bool, start: int = 0) -> None:
        self.sampler = sampler
        self.by_epoch = by_epoch
        self._loop = loop
        self._position = start

    def __iter__(self) -> Iterator[Draw]:
        if self.by_epoch:
            self._position = 0
        epoch = int(self._loop.epoch) if self.by_epoch else 0
        for index in self.sampler:
            yield Draw.at(int(index), epoch, self._position)
            self._position += 1

    def __len__(self) -> int:
        return len(self.sampler)

    def around(self, sampler: Any, start: int) -> NumberedSampler:
        """The same numbering for another sampler that takes over at position ``start``."""
        return NumberedSampler(sampler, self._loop, self.by_epoch, start)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__['sampler'], name)


class SeededFetch:
    """Load a batch of :class:`Draw` from ``dataset``, each with its own seed; torch calls it as ``__getitems__``.

    A sample that raises is reported with the names of its files (:class:`SampleError`), which the host does not do.
    """

    def __init__(self, dataset: Any, seed: int, rank: int) -> None:
        self.dataset = dataset
        self.seed = seed
        self.rank = rank

    def __call__(self, indices: Sequence[int]) -> list[Any]:
        return [self._load(index) for index in indices]

    def _load(self, index: int) -> Any:
        """One sample, seeded by its place in the stream."""
        if isinstance(index, Draw):
            seed_generators(self.seed, self.rank, _DATA_STREAM, index.epoch, index.position)
        try:
            return self.dataset[int(index)]
        except Exception as error:
            raise SampleError(
                f'sample {int(index)} ({sample_files(self.dataset, int(index))}) failed in the data pipeline: '
                f'{type(error).__name__}: {str(error).rstrip(".")}. Mend or remove the file (`imbdense check CONFIG` '
                f'lists all that are broken), or correct the transform that is named.'
            ) from error


def sample_files(dataset: Any, index: int) -> str:
    """Image and label file, or points, of a sample of any mm dataset, for messages; else 'file unknown'."""
    try:
        info = dataset.get_data_info(index)
        files = [str(info[key]) for key in ('img_path', 'seg_map_path', 'points_path') if info.get(key)]
    except Exception:  # a message about a failure must not fail itself
        files = []
    return ', '.join(files) or 'file unknown'
