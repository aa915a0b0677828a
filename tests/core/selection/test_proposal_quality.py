"""What a labelled batch says about the proposals: matching, counts, posteriors."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.selection.proposal_quality import ProposalQuality, match_batch
from tests.core.selection.small_pools import small_pool

CAR, BUS = 0, 1


def test_matching_by_hand() -> None:
    """Image 0: a right car, a bus that was proposed as a car, a false alarm; a car that nobody proposed.
    Image 1 is labelled and empty, with one false alarm; image 2 is not labelled."""
    boxes = np.array([[0, 0, 10, 10], [20, 0, 30, 10], [50, 50, 60, 60], [0, 0, 10, 10], [0, 0, 10, 10]], np.float32)
    pool = small_pool([(0, CAR, 1.0), (0, CAR, 1.0), (0, BUS, 1.0), (1, BUS, 1.0), (2, CAR, 1.0)], 3, 2, obj_box=boxes)
    batch = match_batch(
        pool, np.arange(5), np.array([0, 1]), np.array([0, 0, 0]), np.array([CAR, BUS, CAR]),
        np.array([[0, 0, 10, 9], [20, 0, 30, 11], [80, 80, 90, 90]], float))
    assert batch.rows.tolist() == [0, 1, 2, 3]
    assert batch.true_class.tolist() == [CAR, BUS, -1, -1]
    assert batch.found.tolist() == [1, 0] and batch.missed.tolist() == [1, 0] and batch.objects.tolist() == [2, 1]
    quality = ProposalQuality(pool, batch)
    # Precision of cars: 1 right, 1 wrong; of buses 0 and 2. Recall of cars: 1 of 2; of buses 0 of 1.
    assert quality.precision(np.array([CAR, BUS], np.int32), np.ones(2, np.float32)) == pytest.approx([2 / 4, 1 / 4])
    assert quality.precision_of(BUS)[0] == pytest.approx(1 / 4)
    assert quality.recall_of(CAR)[0] == pytest.approx(2 / 4) and quality.recall_of(BUS)[0] == pytest.approx(1 / 3)


def test_one_label_is_found_once_and_by_its_own_class_first() -> None:
    same = np.array([[0, 0, 10, 10]] * 3, np.float32)
    pool = small_pool([(0, BUS, 1.0), (0, CAR, 1.0), (0, CAR, 1.0)], 1, 2, scores=[0.9, 0.5, 0.8], obj_box=same)
    batch = match_batch(pool, np.arange(3), np.array([0]), np.array([0]), np.array([CAR]), np.array([[0, 0, 10, 10.0]]))
    assert batch.true_class.tolist() == [-1, -1, CAR], 'the better of the two cars, not the bus with the best score'


def test_bins_have_posteriors_of_their_own() -> None:
    scores = [0.4] * 8 + [0.95] * 8
    boxes = np.array([[20 * i, 0, 20 * i + 10, 10] for i in range(16)], np.float32)
    pool = small_pool([(0, CAR, 1.0)] * 16, 1, 1, scores=scores, obj_box=boxes)
    marked = np.zeros(8, int)
    batch = match_batch(pool, np.arange(16), np.array([0]), marked, marked, boxes[8:].astype(float))
    quality = ProposalQuality(pool, batch)
    low, high = quality.precision(np.zeros(2, np.int32), np.array([0.4, 0.95], np.float32))
    assert low == pytest.approx(1 / 10) and high == pytest.approx(9 / 10)
    drawn = quality.draw_precision(CAR, 4000, np.random.default_rng(0))
    assert drawn.mean(axis=0) == pytest.approx([0.1, 0.5, 0.5, 0.9], abs=0.02)
    mean, least, most = quality.recall_of(CAR)
    assert mean == pytest.approx(0.9) and least < mean < most


def test_faults_are_named() -> None:
    pool = small_pool([(0, CAR, 1.0)], 2, 1)
    with pytest.raises(ValueError, match='label_image'):
        match_batch(pool, np.arange(1), np.array([0]), np.array([1]), np.array([0]), np.zeros((1, 4)))
    with pytest.raises(ValueError, match='label_class'):
        match_batch(pool, np.arange(1), np.array([0]), np.array([0]), np.array([1]), np.zeros((1, 4)))
