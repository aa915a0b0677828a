"""Area with an interval from a map and reference points."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.stats.area_estimate import estimate_areas

# The worked example of Olofsson et al. (2014): deforestation, gain, stable forest, stable non-forest; pixels of 30 m.
PIXELS = [200_000, 150_000, 3_200_000, 6_450_000]
SAMPLE = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]


def test_example_of_the_paper() -> None:
    """Estimated deforestation 21,158 ha, 95 % margin 6,158 ha, of 900,000 ha (the paper rounds 1.96)."""
    found = estimate_areas(PIXELS, SAMPLE)
    hectares = sum(PIXELS) * 900 / 1e4
    assert found.share[0] * hectares == pytest.approx(21_158, abs=1)
    assert (found.high[0] - found.low[0]) / 2 * hectares == pytest.approx(6_158, abs=2)
    assert found.share.sum() == pytest.approx(1)


def test_perfect_map_has_its_pixel_shares_without_doubt() -> None:
    found = estimate_areas(PIXELS, np.diag([9, 9, 9, 9]))
    assert found.share.tolist() == pytest.approx((np.array(PIXELS) / sum(PIXELS)).tolist())
    assert np.allclose(found.low, found.high)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([[0.008, 0.012], [0.002, 0.978]])  # share of map class by true class
    pixels, points = truth.sum(axis=1) * 1e6, (100, 2000)
    covered = 0
    for _ in range(400):
        sample = [rng.multinomial(n, row / row.sum()) for n, row in zip(points, truth)]
        found = estimate_areas(pixels, sample)
        covered += found.low[0] <= truth[:, 0].sum() <= found.high[0]
    assert 0.91 < covered / 400 < 0.98


def test_unsampled_class_makes_everything_unknown_and_absent_class_nothing() -> None:
    assert np.isnan(estimate_areas([5, 5], [[0, 1], [3, 3]]).share).all()
    found = estimate_areas([0, 5], [[0, 0], [2, 2]])
    assert found.share.tolist() == [0.5, 0.5]


def test_wrong_tables() -> None:
    with pytest.raises(ValueError, match='side'):
        estimate_areas([1, 2], [[1, 2, 3]])
    with pytest.raises(ValueError, match='>= 0'):
        estimate_areas([0, 0], [[1, 1], [1, 1]])
