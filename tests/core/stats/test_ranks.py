"""Increments summed over ranks in one message."""

from __future__ import annotations

from typing import Any

import torch

from imbdense.core.stats import sum_over_ranks
from tests.helpers.two_ranks import run_two_ranks


def test_without_a_group_nothing_is_copied() -> None:
    one, two = torch.ones(2), torch.ones(3, dtype=torch.int64)
    assert sum_over_ranks(one, two) == (one, two) and sum_over_ranks() == ()


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
    }


def test_one_message_for_all_and_integers_stay_exact() -> None:
    for found in run_two_ranks(_mixed):
        assert found['counts'] == [2**41 + 1, 2] and found['table'] == [[2.0, 2.0], [2.0, 2.0]]
        assert found['dtypes'] == [torch.int64, torch.float32, torch.float32]
        assert found['messages'] == [torch.float64, torch.float32]
