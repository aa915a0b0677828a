"""Index streams: ranks, padding, the endless stream and its resume."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from imbdense.core.sampling import ClassAwareStream, IndexStream, RepeatFactorStream, rank_slice, repeat_factors
from imbdense.core.stats import ImageClassTable

TABLE = ImageClassTable.from_lists([[0], [0], [0, 1], [], [0], [0, 2], [0], [0], [0]], 4)


def streams() -> list[IndexStream]:
    return [RepeatFactorStream(repeat_factors(TABLE, 0.5)), ClassAwareStream(TABLE), ClassAwareStream(TABLE, 14)]


@pytest.mark.parametrize('world', [1, 2, 3, 7])
def test_slices_partition_the_list_and_padding_makes_them_equal(world):
    indices = np.arange(100, 110)
    parts = [rank_slice(indices, rank, world, round_up=False) for rank in range(world)]
    assert sorted(np.concatenate(parts)) == list(indices)
    padded = [rank_slice(indices, rank, world) for rank in range(world)]
    assert len({part.size for part in padded}) == 1
    woven = np.stack(padded, axis=1).ravel()
    assert (woven[:10] == indices).all() and (woven[10:] == indices[: woven.size - 10]).all()


def test_more_ranks_than_draws_still_gives_every_rank_one():
    parts = [rank_slice(np.array([4, 5]), rank, 5) for rank in range(5)]
    assert [part.tolist() for part in parts] == [[4], [5], [4], [5], [4]]


@pytest.mark.parametrize('stream', streams())
def test_an_epoch_depends_on_seed_and_epoch_only(stream):
    first = stream.epoch(3, 5)
    assert first.dtype == np.int64 and first.size == stream.length
    assert (first == stream.epoch(3, 5)).all()
    assert (first != stream.epoch(3, 6)).any() and (first != stream.epoch(4, 5)).any()
    assert first.min() >= 0 and first.max() < stream.num_images


@pytest.mark.parametrize('stream', streams())
@pytest.mark.parametrize('round_up', [True, False])
def test_announced_length_is_the_length(stream, round_up):
    for world in (1, 2, 4):
        for rank in range(world):
            part = stream.rank_epoch(0, 1, rank, world, round_up=round_up)
            assert part.size == stream.rank_length(rank, world, round_up=round_up)


@pytest.mark.parametrize('stream', streams())
@pytest.mark.parametrize('world', [1, 2, 20])
def test_endless_ranks_together_are_the_epochs_in_order(stream, world):
    taken = 3 * stream.length
    parts = [list(islice(stream.endless(7, rank, world), taken)) for rank in range(world)]
    woven = np.array(parts).T.ravel()[:taken]
    assert (woven == np.concatenate([stream.epoch(7, epoch) for epoch in range(3)])).all()


@pytest.mark.parametrize('stream', streams())
@pytest.mark.parametrize('start', [0, 1, 8, 9, 10, 31])
def test_endless_resumes_where_it_stopped(stream, start):
    whole = list(islice(stream.endless(7, 1, 2), 60))
    assert list(islice(stream.endless(7, 1, 2, start), 60 - start)) == whole[start:]
