"""Counts gathered while training."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.stats import RunningClassStats
from tests.helpers.two_ranks import run_two_ranks


def test_counts_without_ignored_and_foreign_values() -> None:
    stats = RunningClassStats(3)
    stats.update(torch.tensor([[0, 1, 1], [255, 2, 7]]))
    stats.update(torch.tensor([-1, 2]))
    assert stats.counts.tolist() == [1, 2, 2] and stats.counts.dtype == torch.int64


def test_ignore_index_may_be_a_class() -> None:
    stats = RunningClassStats(3)
    stats.update(torch.tensor([0, 0, 1]), ignore_index=0)
    assert stats.counts.tolist() == [0, 1, 0]


def test_frozen_in_eval_and_saved() -> None:
    stats = RunningClassStats(2, torch.tensor([3, 1]))
    stats.eval().update(torch.tensor([0]))
    copy = RunningClassStats(2)
    copy.load_state_dict(stats.state_dict())
    assert copy.counts.tolist() == [3, 1]
    assert copy.prior().tolist() == [0.75, 0.25] and RunningClassStats(2).prior().tolist() == [0.5, 0.5]


def test_half_precision_of_the_model_does_not_touch_the_counts() -> None:
    stats = RunningClassStats(2, torch.tensor([2**40, 1]))
    assert stats.half().counts.tolist() == [2**40, 1]


def test_empty_target_and_wrong_sizes() -> None:
    stats = RunningClassStats(2)
    stats.update(torch.zeros(0, dtype=torch.long))
    assert stats.counts.sum() == 0
    with pytest.raises(ValueError, match='num_classes must be >= 1'):
        RunningClassStats(0)
    with pytest.raises(ValueError, match=r'initial must have shape \(2,\)'):
        RunningClassStats(2, torch.zeros(3))


def _uneven_updates() -> list[int]:
    import torch.distributed as dist

    stats = RunningClassStats(3)
    for step in range(2):
        own = [0, 0, 1] if dist.get_rank() == 0 else [255] * 4  # one rank sees only ignored pixels
        stats.update(torch.tensor([*own, step]))
    return stats.counts.tolist()


def test_two_ranks_agree_also_when_one_sees_nothing() -> None:
    assert run_two_ranks(_uneven_updates) == [[6, 4, 0], [6, 4, 0]]
