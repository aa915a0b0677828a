"""Two streams per batch: composition, cycling, ranks, resume."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from imbdense.core.sampling import TwoStream


def test_every_batch_has_the_ratio_with_the_labelled_first() -> None:
    stream = TwoStream(5, 12, (2, 3))
    table = stream.epoch(seed=1, epoch=0).reshape(-1, 5)
    assert table.shape == (4, 5) and stream.length == 20
    assert (table[:, :2] < 5).all() and (table[:, 2:] >= 5).all()
    assert sorted(table[:, 2:].ravel().tolist()) == list(range(5, 17)), 'the longer list comes exactly once'
    counts = np.bincount(table[:, :2].ravel(), minlength=5)
    assert counts.sum() == 8 and counts.max() - counts.min() <= 1, 'the shorter one is cycled evenly'


def test_fewer_labelled_images_than_a_batch_takes() -> None:
    table = TwoStream(2, 6, (3, 1)).epoch(0, 0).reshape(-1, 4)
    assert (np.bincount(table[:, :3].ravel()) == 9).all()


def test_the_labelled_list_may_be_the_longer_one() -> None:
    stream = TwoStream(9, 2, (1, 1))
    assert stream.batches == 9 and sorted(stream.epoch(0, 3).reshape(-1, 2)[:, 0].tolist()) == list(range(9))


@pytest.mark.parametrize('world', [1, 2, 3])
def test_ranks_get_whole_batches(world: int) -> None:
    stream = TwoStream(4, 10, (1, 2))
    whole = stream.epoch(7, 2).reshape(-1, 3).tolist()
    parts = [stream.rank_epoch(7, 2, rank, world).reshape(-1, 3).tolist() for rank in range(world)]
    assert all(len(part) * 3 == stream.rank_length(rank, world) for rank, part in enumerate(parts))
    joined = [batch for batches in zip(*parts) for batch in batches]
    assert joined[: len(whole)] == whole
    loose = [stream.rank_epoch(7, 2, rank, world, round_up=False).reshape(-1, 3).tolist() for rank in range(world)]
    assert sorted(batch for part in loose for batch in part) == sorted(whole)
    assert all(len(part) * 3 == stream.rank_length(r, world, round_up=False) for r, part in enumerate(loose))


@pytest.mark.parametrize(('rank', 'world'), [(0, 1), (1, 2)])
@pytest.mark.parametrize('start', [0, 3, 7, 15, 40])
def test_endless_resumes_anywhere(rank: int, world: int, start: int) -> None:
    stream = TwoStream(4, 10, (1, 2))
    whole = list(islice(stream.endless(7, rank, world), 90))
    assert list(islice(stream.endless(7, rank, world, start), 90 - start)) == whole[start:]


def test_endless_goes_through_the_epochs() -> None:
    stream = TwoStream(4, 10, (1, 2))
    epochs = np.concatenate([stream.epoch(7, epoch) for epoch in range(3)]).tolist()
    assert list(islice(stream.endless(7), len(epochs))) == epochs


def test_rates_are_the_mean_of_many_epochs() -> None:
    stream = TwoStream(3, 5, (1, 2))
    mean = np.mean([np.bincount(stream.epoch(0, e), minlength=8) for e in range(600)], axis=0)
    assert np.allclose(mean, stream.draw_rates(), atol=0.08) and stream.draw_rates().sum() == stream.length


@pytest.mark.parametrize('arguments', [(0, 3, (1, 1)), (3, 0, (1, 1)), (3, 3, (0, 2))])
def test_empty_streams_are_refused(arguments: tuple) -> None:
    with pytest.raises(ValueError, match='must be an integer'):
        TwoStream(*arguments)
