"""Increments summed over ranks in one message."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from imbdense.core.stats import gather_over_ranks, sum_over_ranks
from tests.helpers.two_ranks import run_two_ranks


def test_without_a_group_nothing_is_copied() -> None:
    one, two = torch.ones(2), torch.ones(3, dtype=torch.int64)
    assert sum_over_ranks(one, two) == (one, two) and sum_over_ranks() == ()
    assert gather_over_ranks(one, two) == (one, two)


def _mixed() -> dict[str, Any]:
    import torch.distributed as dist

    rank = dist.get_rank()
    messages = []
    original = dist.all_reduce
    dist.all_reduce = lambda tensor, *a, **k: (messages.append(tensor.dtype), original(tensor, *a, **k))[1]
    large = 2**40 + rank
    counts, table = sum_over_ranks(torch.tensor([large, 1]), torch.full((2, 2), 0.5 + rank))
    floats = sum_over_ranks(torch.ones(2), torch.ones(3))
    dist.all_reduce = original
    return {
        'counts': counts.tolist(), 'table': table.tolist(), 'dtypes': [counts.dtype, table.dtype, floats[0].dtype],
        'messages': messages,
        'rows': gather_over_ranks(torch.full((1, 2), rank), torch.tensor([rank, 5]))[0].tolist(),
    }


@pytest.fixture(scope='module')
def on_two_ranks() -> list[dict[str, Any]]:
    return run_two_ranks(_mixed)


def test_one_message_for_all_and_integers_stay_exact(on_two_ranks: list[dict[str, Any]]) -> None:
    for found in on_two_ranks:
        assert found['counts'] == [2**41 + 1, 2] and found['table'] == [[2.0, 2.0], [2.0, 2.0]]
        assert found['dtypes'] == [torch.int64, torch.float32, torch.float32]
        assert found['messages'] == [torch.float64, torch.float32]


def test_items_are_gathered_in_the_order_of_the_ranks(on_two_ranks: list[dict[str, Any]]) -> None:
    for found in on_two_ranks:
        assert found['rows'] == [[0, 0], [1, 1]]
