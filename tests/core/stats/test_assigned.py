"""AssignedCounts: numbers, the standard error against simulation, JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from imbdense.core.stats import AssignedCounts, NoForegroundError

COUNTS = AssignedCounts(('a', 'b', 'c', 'd'), [6, 3, 1, 0], 990, 7, 7, source='test')


def test_numbers() -> None:
    assert (COUNTS.num_foreground, COUNTS.total, COUNTS.num_classes) == (10, 1000, 4)
    assert COUNTS.foreground_share == 0.01 and COUNTS.prior == 0.0025
    assert COUNTS.foreground.dtype == np.int64
    assert 'N_f=10 N=1000' in COUNTS.describe() and 'pi=0.0025 (7 images' in COUNTS.describe()


def test_thresholds() -> None:
    assert COUNTS.score_thresholds(1e-4, 0.05) == pytest.approx(0.01)
    assert COUNTS.score_thresholds(1e-4, 0.005) == pytest.approx(0.005)
    assert COUNTS.score_thresholds(2e-3, 0.005, per_class=True).tolist() == pytest.approx([0.005, 0.003, 0.002, 0.002])


def test_round_trip_through_json() -> None:
    copy = AssignedCounts.from_dict(json.loads(json.dumps(COUNTS.to_dict(), allow_nan=False)))
    assert copy.to_dict() == COUNTS.to_dict()
    with pytest.raises(ValueError, match='not a record of assigned counts'):
        AssignedCounts.from_dict({'classes': ['a'], 'strange': 1})


def test_no_foreground_is_a_clear_error() -> None:
    empty = AssignedCounts(('a',), [0], 500, 3, 3, source='RetinaHead')
    assert empty.foreground_share == 0 and AssignedCounts(('a',), [0], 0).foreground_share == 0
    with pytest.raises(NoForegroundError, match=r'of 500 samples in 3 images not one.*RetinaHead.*prior=0.01'):
        empty.require_foreground('hook')
    assert COUNTS.require_foreground('hook') is COUNTS


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match='expected 2 foreground counts'):
        AssignedCounts(('a', 'b'), [1], 5)


def moments(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Totals and moments of per-image (n, 2) counts of one class and the background."""
    foreground, everything = samples[:, 0], samples.sum(1)
    return samples.sum(0), np.array([(foreground**2).sum(), (foreground * everything).sum(), (everything**2).sum()])


def test_standard_error_is_that_of_drawing_images() -> None:
    """2000 subsets of 60 of 300 images: the spread of the share is what each subset says about itself."""
    generator = np.random.default_rng(0)
    images = np.stack([generator.poisson(generator.gamma(1.0, 20.0, 300)), generator.integers(8000, 12000, 300)], 1)
    shares, errors = [], []
    for _ in range(2000):
        counts = AssignedCounts.from_moments(('a',), *moments(images[generator.permutation(300)[:60]]), 60, 300)
        shares.append(counts.foreground_share)
        errors.append(counts.share_error)
    assert np.mean(errors) == pytest.approx(np.std(shares), rel=0.05)


def test_all_images_leave_no_error() -> None:
    samples = np.array([[3, 100], [0, 80], [9, 120]])
    assert AssignedCounts.from_moments(('a',), *moments(samples), 3, 3).share_error == 0
    assert AssignedCounts.from_moments(('a',), *moments(samples), 3, 30).share_error > 0
    assert AssignedCounts.from_moments(('a',), *moments(samples[:1]), 1, 30).share_error == 0
