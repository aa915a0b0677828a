"""Imbalance in one number."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.stats import (
    class_prior,
    effective_number,
    gini,
    imbalance_indices,
    imbalance_ratio,
    shannon_evenness,
)


def test_balanced_counts() -> None:
    assert imbalance_indices([7, 7, 7, 7]) == pytest.approx(
        {'imbalance_ratio': 1.0, 'gini': 0.0, 'effective_number': 4.0, 'shannon_evenness': 1.0}
    )


def test_hand_examples() -> None:
    assert imbalance_ratio([100, 10, 0]) == 10
    assert gini([0, 0, 0, 1]) == pytest.approx(0.75)
    assert effective_number([5, 0, 0]) == pytest.approx(1.0)
    assert shannon_evenness([3, 1]) == pytest.approx(-(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)))
    assert shannon_evenness([4]) == 1.0


def test_gini_is_the_mean_absolute_difference() -> None:
    counts = np.random.default_rng(0).integers(0, 100, 9)
    expected = np.abs(counts[:, None] - counts[None]).mean() / (2 * counts.mean())
    assert gini(counts) == pytest.approx(expected)


def test_scale_does_not_matter() -> None:
    assert imbalance_indices([900, 90, 9]) == pytest.approx(imbalance_indices([1800, 180, 18]))


def test_prior_counts_an_empty_class_once() -> None:
    assert class_prior([99, 0]) == pytest.approx([0.99, 0.01])


@pytest.mark.parametrize('wrong', [[], [0, 0], [-1, 2], [np.nan, 1], [[1, 2]]])
def test_impossible_counts(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match='class counts must be'):
        class_prior(wrong)
