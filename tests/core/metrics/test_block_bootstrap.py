"""Block bootstrap: equal to a loop over resamples, deterministic, wider than pixels would have it, paired."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.metrics.block_bootstrap import SpatialBlockBootstrap
from imbdense.core.metrics.change_blocks import scores_of_sums
from imbdense.core.metrics.change_scores import HistogramSums, change_scores


def blocks(number: int = 30, seed: int = 0, size: int = 3, spread: float = 0.6) -> np.ndarray:
    """Histograms (B, K, K) of blocks that differ in how good the prediction is."""
    rng = np.random.default_rng(seed)
    tables = []
    for _ in range(number):
        good = np.clip(rng.normal(0.7, spread / 3), 0.05, 0.95)
        share = np.full((size, size), (1 - good) / (size * size - size))
        np.fill_diagonal(share, good / size)
        tables.append(rng.multinomial(400, share.ravel() / share.sum()).reshape(size, size))
    return np.array(tables)


def packed(tables: np.ndarray) -> dict[str, np.ndarray]:
    return {'scd/sem': HistogramSums.of(tables).pack()}


def test_equals_a_loop_over_resamples() -> None:
    tables = blocks()
    boot = SpatialBlockBootstrap(n_boot=50, seed=3)
    found = boot.intervals(packed(tables), scores_of_sums)
    draws = np.random.default_rng(3).multinomial(30, np.full(30, 1 / 30), size=50)
    slow = []
    for times in draws:
        total = sum(int(count) * table for count, table in zip(times, tables))
        slow.append(float(change_scores(HistogramSums.of(total))['SeK']))
    assert found['scd/sem/SeK'] == pytest.approx(tuple(np.percentile(slow, [2.5, 97.5])), rel=1e-12)


def test_seed_decides_and_the_point_lies_inside() -> None:
    tables = blocks()
    one, same, other = (
        SpatialBlockBootstrap(seed=seed).intervals(packed(tables), scores_of_sums) for seed in (0, 0, 1)
    )
    assert one == same and one != other
    point = change_scores(HistogramSums.of(tables.sum(axis=0)))
    for name in ('SeK', 'mIoU', 'F_scd', 'OA', 'Score'):
        low, high = one[f'scd/sem/{name}']
        assert low < float(point[name]) < high, name


def test_blocks_that_differ_give_wider_intervals_than_equal_ones() -> None:
    def width(spread: float) -> float:
        low, high = SpatialBlockBootstrap().intervals(packed(blocks(spread=spread)), scores_of_sums)['scd/sem/SeK']
        return high - low

    assert width(0.9) > 2 * width(0.0)


def test_coverage_is_near_what_it_says() -> None:
    """Of sets drawn from one population about 95 % of the intervals hold its true score."""
    truth = float(change_scores(HistogramSums.of(blocks(4000, seed=999).sum(axis=0)))['F_scd'])
    inside = 0
    for seed in range(60):
        found = SpatialBlockBootstrap(n_boot=200).intervals(packed(blocks(40, seed=seed)), scores_of_sums)
        low, high = found['scd/sem/F_scd']
        inside += low <= truth <= high
    assert 0.85 <= inside / 60 <= 1.0


def test_pairing_removes_what_is_hard_for_both() -> None:
    theirs = blocks(spread=0.9)
    ours = theirs.copy()
    moved = np.minimum(ours[:, 0, 1], 10)  # ten pixels per block better
    ours[:, 0, 1] -= moved
    ours[:, 1, 1] += moved
    boot = SpatialBlockBootstrap()
    difference, low, high = boot.paired(packed(ours), packed(theirs), scores_of_sums)['scd/sem/SeK']
    assert low > 0 and low < difference < high
    alone = boot.intervals(packed(theirs), scores_of_sums)['scd/sem/SeK']
    assert high - low < 0.5 * (alone[1] - alone[0])
    same = boot.paired(packed(theirs), packed(theirs), scores_of_sums)
    assert all(value == (0.0, 0.0, 0.0) for value in same.values())


def test_undefined_resamples_are_left_out() -> None:
    quiet = np.array([[[50, 0], [0, 0]]] * 5 + [[[40, 2], [3, 5]]])
    found = SpatialBlockBootstrap(n_boot=100).intervals({'scd/sem': HistogramSums.of(quiet).pack()}, scores_of_sums)
    assert not np.isnan(found['scd/sem/SeK']).any()
    nothing = SpatialBlockBootstrap(n_boot=10).intervals(packed(quiet[:5]), scores_of_sums)
    assert np.isnan(nothing['scd/sem/SeK']).all() and nothing['scd/sem/OA'] == (1.0, 1.0)


def test_one_block_is_a_point() -> None:
    low, high = SpatialBlockBootstrap(n_boot=20).intervals(packed(blocks(1)), scores_of_sums)['scd/sem/SeK']
    assert low == high


def test_mistakes() -> None:
    with pytest.raises(ValueError, match='alpha'):
        SpatialBlockBootstrap(alpha=0.0)
    with pytest.raises(ValueError, match='n_boot'):
        SpatialBlockBootstrap(n_boot=0)
    with pytest.raises(ValueError, match='same B > 0 blocks'):
        SpatialBlockBootstrap().resample({'a': np.zeros((2, 3)), 'b': np.zeros((3, 3))})


def test_tables_without_a_rule_are_passed_over() -> None:
    assert scores_of_sums({'pcc/from_to': np.zeros((1, 6))}) == {}
    assert 'bcd/F1' in scores_of_sums({'bcd': np.ones((1, 6))})
    assert 'pcc/kinds/macro_iou' in scores_of_sums({'pcc/kinds': np.ones((1, 9))})
