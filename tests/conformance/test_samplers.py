"""Every registered sampler: deterministic in seed, epoch and rank; whole epochs over the ranks; empty classes."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest

from imbdense.core.stats import ImageClassTable
from tests.conformance.walk import CLASSES, AbsentClassDataset, TinyDataset, build, members

SAMPLERS = members('sampler')
each = pytest.mark.parametrize('cls', SAMPLERS.values(), ids=SAMPLERS.keys())


def on_rank(cls: type, rank: int, world: int, **arguments: Any) -> Any:
    """Build a sampler as rank ``rank`` of ``world`` would."""
    target = f'{cls.__mro__[1].__module__}.get_dist_info'
    with mock.patch(target, return_value=(rank, world)):
        return build(cls, **arguments)


def epoch_of(sampler: Any, epoch: int) -> list[int]:
    sampler.set_epoch(epoch)
    return list(sampler)


@each
def test_same_seed_same_epoch_same_draws_and_another_epoch_others(cls: type) -> None:
    one, two = build(cls, seed=3), build(cls, seed=3)
    assert epoch_of(one, 0) == epoch_of(two, 0) and epoch_of(one, 5) == epoch_of(two, 5)
    assert len({tuple(epoch_of(one, epoch)) for epoch in range(6)}) > 1
    assert epoch_of(build(cls, seed=4), 0) != epoch_of(one, 0)


@each
def test_length_is_what_is_drawn(cls: type) -> None:
    sampler = build(cls, seed=0)
    for epoch in range(3):
        drawn = epoch_of(sampler, epoch)
        assert len(drawn) == len(sampler) and all(0 <= index < len(TinyDataset()) for index in drawn)


@each
def test_two_ranks_share_one_epoch(cls: type) -> None:
    single = epoch_of(build(cls, seed=1), 2)
    parts = [epoch_of(on_rank(cls, rank, 2, seed=1), 2) for rank in range(2)]
    assert len(parts[0]) == len(parts[1])
    group = build(cls, seed=1).group
    rounds = zip(*(np.reshape(part, (-1, group)).tolist() for part in parts), strict=True)
    joined = [index for pair in rounds for groups in pair for index in groups]
    assert joined[: len(single)] == single


@each
def test_a_class_without_an_image_is_no_obstacle(cls: type) -> None:
    sampler = build(cls, dataset=AbsentClassDataset(), seed=0)
    assert len(epoch_of(sampler, 0)) == len(sampler)


@each
def test_declared_effect_is_what_is_drawn(cls: type) -> None:
    """prior_effect and draw_rates against the mean of 400 epochs."""
    sampler = build(cls, seed=0)
    table = ImageClassTable.from_lists(TinyDataset.rows, len(CLASSES))
    drawn = np.zeros(len(TinyDataset()))
    for epoch in range(400):
        drawn += np.bincount(epoch_of(sampler, epoch), minlength=drawn.size)
    rates = sampler.draw_rates()
    assert np.allclose(drawn / 400, rates, atol=0.15 * max(1.0, float(rates.max())))
    assert np.allclose(sampler.prior_effect(table), table.expected_totals(rates))
