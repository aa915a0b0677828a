"""Reach, oracle classes and the shares, on boxes one can follow by hand."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.inference import (
    ImageDetections,
    ImageObjects,
    Reach,
    detection_shares,
    oracle_classes,
    reach_objects,
    taken_for_table,
)

A, B = [0.0, 0.0, 10.0, 10.0], [40.0, 0.0, 50.0, 10.0]
NEAR_A = [5.0, 0.0, 15.0, 10.0]  # IoU 1/3


def truth(*items: tuple[list[float], int]) -> ImageObjects:
    return ImageObjects(
        np.array([box for box, _ in items]), np.array([label for _, label in items], dtype=np.int64),
        np.zeros(len(items), dtype=bool),
    )  # fmt: skip


def test_reach_by_hand() -> None:
    objects = truth((A, 0), (B, 1), ([80.0, 80.0, 90.0, 90.0], 1))
    boxes = np.array([NEAR_A, B, B])
    scores = np.array([[0.9, 0.0], [0.6, 0.1], [0.0, 0.3]])
    found = reach_objects(boxes, scores, boxes, objects, 0.05)
    assert found.covered.tolist() == [False, True, False] and found.near.tolist() == [True, True, False]
    assert found.taken_for.tolist() == [2, 0, 2]  # B is called class 0; the others are nothing
    assert reach_objects(boxes, scores, boxes, objects, 0.7).taken_for.tolist() == [2, 2, 2]


def test_proposal_near_but_regressed_away() -> None:
    found = reach_objects(np.array([[70.0, 70.0, 80.0, 80.0]]), np.array([[0.9]]), np.array([A]), truth((A, 0)), 0.05)
    assert found.near.tolist() == [True] and found.covered.tolist() == [False]


def test_class_specific_boxes() -> None:
    boxes = np.array([[*B, *A]])  # the box of class 1 covers A, that of the winning class 0 does not
    found = reach_objects(boxes, np.array([[0.9, 0.2]]), np.array([A]), truth((A, 1)), 0.05)
    assert found.covered.tolist() == [True] and found.taken_for.tolist() == [0]


def test_oracle_classes_by_hand() -> None:
    logits, boxes = np.array([[3.0, -2.0, 0.5], [1.0, 0.0, 0.5]]), np.array([[*A, *B], [*B, *B]])
    told, moved = oracle_classes(logits, boxes, truth((A, 1)), 2)
    summed = np.log(np.exp(3.0) + np.exp(-2.0))  # the probability of background stays
    assert told[0].tolist() == pytest.approx([-1e4, summed, 0.5]) and told[1].tolist() == [1.0, 0.0, 0.5]
    assert moved[0].tolist() == [*A, *A] and moved[1].tolist() == boxes[1].tolist()
    assert logits[0, 0] == 3.0  # the input is left alone
    told, moved = oracle_classes(np.array([[3.0, -2.0]]), np.array([NEAR_A]), truth((A, 1)), 2, least=0.3, snap=True)
    assert told.tolist() == [[-1e4, 3.0]] and moved.tolist() == [A]
    far = np.array([B])
    _, moved = oracle_classes(
        np.array([[3.0, -2.0]]), far, truth((A, 1)), 2, least=0.3, proposals=np.array([A]), snap=True
    )
    assert moved.tolist() == [A]


def test_shares_follow_the_stages() -> None:
    """Class 0 is fine; of class 1 one object is cut off, one called class 0, one only come near to, one never."""
    places = [[float(x), 0.0, float(x) + 10, 10.0] for x in range(0, 250, 50)]
    objects = truth((places[0], 0), *((place, 1) for place in places[1:]))

    def give(*items: tuple[int, int, float]) -> ImageDetections:
        chosen = [(places[place], label, score) for place, label, score in items]
        return ImageDetections(
            np.array([box for box, *_ in chosen]).reshape(-1, 4), np.array([c for _, c, _ in chosen], dtype=np.int64),
            np.array([score for *_, score in chosen]),
        )  # fmt: skip

    real = give((0, 0, 0.9), (2, 0, 0.5))
    uncut = give((0, 0, 0.9), (2, 0, 0.5), (1, 1, 0.01))
    oracle = give((0, 0, 0.9), (2, 1, 0.5), (1, 1, 0.01))
    snapped = give((0, 0, 0.9), (2, 1, 0.5), (1, 1, 0.01), (3, 1, 0.3))
    covered, near = np.array([True, True, True, False, False]), np.array([True, True, True, True, False])
    reach = Reach(covered, near, np.array([0, 2, 0, 2, 2]))
    shares, stages = detection_shares([real], [uncut], [oracle], [snapped], [reach], [objects], 2)
    assert stages['AP50'].tolist() == pytest.approx([1.0, 0.0])
    assert shares['threshold'][1] == pytest.approx(26 / 101)  # recall points 0 ... .25
    assert shares['classification'][1] == pytest.approx(25 / 101)
    assert shares['localisation'][1] == pytest.approx(25 / 101)
    assert shares['ranking'][1] == pytest.approx(0.0, abs=0.01)  # AP counts on a grid of 101 recalls
    assert shares['proposals'][1] == pytest.approx(0.25, abs=0.01)
    assert sum(values[1] for values in shares.values()) == pytest.approx(1.0)
    assert all(values[0] == 0 for values in shares.values())
    assert taken_for_table([reach], [objects], 2).tolist() == [[1, 0, 0], [1, 0, 3]]


def test_an_absent_class_is_undefined() -> None:
    empty = ImageDetections(np.zeros((0, 4)), np.zeros(0, dtype=np.int64), np.zeros(0))
    reach = reach_objects(np.zeros((0, 4)), np.zeros((0, 2)), np.zeros((0, 4)), truth((A, 0)), 0.05)
    shares, _ = detection_shares([empty], [empty], [empty], [empty], [reach], [truth((A, 0))], 2)
    assert np.isnan(shares['threshold'][1]) and shares['proposals'][0] == 1.0
