"""Sums over ranks: exact, one collective, independent of table order."""

from __future__ import annotations

import numpy as np
import pytest
import torch.distributed as dist

from imbdense.utils.distributed import gather_objects, interleave, rank_and_world, sum_over_ranks
from tests.helpers.two_ranks import run_two_ranks


def _sum_and_gather() -> tuple[dict[str, np.ndarray], list[int], tuple[int, int]]:
    rank = dist.get_rank()
    tables = {'a': np.array([[1, 2**53 + 1]]) * (rank + 1), 'b': np.array([0.5 + rank])}
    if rank == 1:
        tables = dict(reversed(tables.items()))
    return sum_over_ranks(tables), gather_objects(rank), rank_and_world()


def test_two_ranks_add_up() -> None:
    results = run_two_ranks(_sum_and_gather)
    for rank, (tables, gathered, who) in enumerate(results):
        assert tables['a'].tolist() == [[3, 3 * (2**53 + 1)]]
        assert tables['b'].tolist() == [2.0]
        assert gathered == [0, 1]
        assert who == (rank, 2)


def test_one_rank_returns_copies() -> None:
    table = np.zeros(2, dtype=np.int64)
    out = sum_over_ranks({'t': table})
    out['t'][0] = 5
    assert table.tolist() == [0, 0]
    assert gather_objects('x') == ['x']


def test_narrow_counts_are_refused() -> None:
    with pytest.raises(TypeError, match='must be int64 or float64'):
        sum_over_ranks({'t': np.zeros(2, dtype=np.float32)})


def _fail_on_rank_one() -> None:
    if dist.get_rank() == 1:
        raise RuntimeError('rank one says no')


def test_helper_reports_the_failing_rank() -> None:
    with pytest.raises(Exception, match='rank one says no'):
        run_two_ranks(_fail_on_rank_one)


def test_interleaving_undoes_the_split_and_leaves_padding_last() -> None:
    indices = [0, 1, 2, 3, 4, 0]
    assert interleave([indices[0::2], indices[1::2]]) == indices
    assert interleave([[], [1, 2]]) == [1, 2]
    assert interleave([]) == []
