"""Quotas of a round, and equal draws from unequal pools."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from imbdense.core.pseudo_label import EqualDraw, ProgressiveQuota, round_of_epoch


def test_hand_example() -> None:
    quota = ProgressiveQuota(10, 2, 5, 2)
    assert [quota.source(r) for r in range(4)] == [10, 8, 6, 4]
    assert [quota.target(r) for r in range(4)] == [5, 7, 9, 11]


def test_source_does_not_fall_below_zero() -> None:
    quota = ProgressiveQuota(k0_src=5, reduce=3, k0_tgt=1, grow=0)
    assert [quota.source(r) for r in range(4)] == [5, 2, 0, 0] and [quota.target(r) for r in range(3)] == [1, 1, 1]


def test_rounds() -> None:
    rounds = (0, 30, 60, 90)
    assert [round_of_epoch(e, rounds) for e in (0, 29, 30, 45, 59, 60, 89, 90, 119)] == [0, 0, 1, 1, 1, 2, 2, 3, 3]
    assert [round_of_epoch(e, [2, 4]) for e in range(5)] == [-1, -1, 0, 0, 1]


@pytest.mark.parametrize('rounds', [[], [0, 0], [3, 1], [-1, 3]])
def test_wrong_rounds(rounds: list[int]) -> None:
    with pytest.raises(ValueError, match='rounds'):
        round_of_epoch(0, rounds)


def test_wrong_numbers() -> None:
    with pytest.raises(ValueError, match='ProgressiveQuota: reduce'):
        ProgressiveQuota(10, -2, 5, 2)
    with pytest.raises(TypeError, match='grow'):
        ProgressiveQuota(10, 2, 5, 0.5)
    with pytest.raises(ValueError, match='round_index'):
        ProgressiveQuota(10, 2, 5, 2).target(-1)
    with pytest.raises(ValueError, match='pool_sizes'):
        EqualDraw(0)([3, -1], 2, epoch=0, index=0)
    with pytest.raises(ValueError, match='per_class'):
        EqualDraw(0)([3, 1], -2, epoch=0, index=0)


def test_equal_numbers_and_valid_objects() -> None:
    classes, objects = EqualDraw(0)([1000, 1, 30], 4, epoch=2, index=7)
    assert classes.tolist() == [0] * 4 + [1] * 4 + [2] * 4 and classes.dtype == objects.dtype == np.int64
    assert (objects < np.array([1000, 1, 30])[classes]).all() and (objects >= 0).all()
    for nothing in (EqualDraw(0)([5, 5], 0, epoch=0, index=0), EqualDraw(0)([], 3, epoch=0, index=0)):
        assert [values.tolist() for values in nothing] == [[], []]


def test_a_class_without_objects_is_left_out_with_one_warning() -> None:
    draw = EqualDraw(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        drawn = [draw([9, 0, 4], 3, epoch=0, index=index)[0].tolist() for index in range(5)]
        draw([9, 0, 0], 3, epoch=1, index=0)
    assert drawn == [[0] * 3 + [2] * 3] * 5, 'its share is not given to the others'
    assert [str(w.message).split(' has')[0] for w in caught] == ['class 1', 'class 2']
    assert caught[0].filename == __file__


def test_pure_function_of_seed_epoch_rank_and_index() -> None:
    def drawn(seed=3, rank=1, epoch=4, index=5):
        return EqualDraw(seed, rank)([500, 700], 6, epoch=epoch, index=index)[1].tolist()

    used = EqualDraw(3, 1)
    for index in range(5):
        used([500, 700], 6, epoch=4, index=index)
    assert used([500, 700], 6, epoch=4, index=5)[1].tolist() == drawn(), 'as after a resume'
    assert len({str(d) for d in (drawn(), drawn(seed=4), drawn(rank=0), drawn(epoch=5), drawn(index=6))}) == 5


def test_balance_over_an_epoch() -> None:
    """Pools of 10000 : 100 : 10 and an empty one: equal numbers pasted, evenly over the objects of a class."""
    draw, sizes = EqualDraw(0), np.array([10000, 100, 10, 0])
    quota = ProgressiveQuota(10, 2, 5, 2)
    with pytest.warns(UserWarning, match='class 3'):
        parts = [draw(sizes, quota.target(1), epoch=0, index=index) for index in range(300)]
    classes, objects = (np.concatenate(values) for values in zip(*parts, strict=True))
    pasted = np.bincount(classes, minlength=4)
    assert np.ptp(pasted[:3]) < 0.1 * pasted[:3].mean() and pasted.tolist() == [2100, 2100, 2100, 0]
    for label in (1, 2):
        seen = np.bincount(objects[classes == label], minlength=sizes[label])
        assert stats.chisquare(seen).pvalue > 0.01
