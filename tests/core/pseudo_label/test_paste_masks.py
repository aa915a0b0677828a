"""One label map of scored masks: order, conflicts, background."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.pseudo_label import paste_masks

ROW = (1, 4)


def mask(*columns: int) -> np.ndarray:
    """A mask of one row."""
    found = np.zeros(ROW, bool)
    found[0, list(columns)] = True
    return found


def test_the_best_is_on_top_whatever_the_order() -> None:
    masks = [(mask(0, 1), 3, 0.9), (mask(1, 2), 5, 0.5)]
    for order in (masks, masks[::-1]):
        assert paste_masks(order, ROW).tolist() == [[3, 3, 5, 255]]


def test_unpainted_pixels_are_background() -> None:
    assert paste_masks([(mask(1), 2, 0.4)], ROW, background=0).tolist() == [[0, 2, 0, 0]]
    assert paste_masks([], ROW).tolist() == [[255] * 4]


def test_two_classes_that_are_nearly_as_good_are_a_conflict() -> None:
    close = [(mask(0, 1), 1, 0.60), (mask(1, 2), 2, 0.65)]
    assert paste_masks(close, ROW, background=0).tolist() == [[1, 255, 2, 0]]
    assert paste_masks(close, ROW, background=0, margin=0).tolist() == [[1, 2, 2, 0]]
    apart = [(mask(0, 1), 1, 0.6), (mask(1, 2), 2, 0.7)]
    assert paste_masks(apart, ROW, background=0).tolist() == [[1, 2, 2, 0]], 'a difference of .1 is none'


def test_one_class_twice_is_no_conflict() -> None:
    assert paste_masks([(mask(0, 1), 1, 0.6), (mask(1, 2), 1, 0.61)], ROW).tolist() == [[1, 1, 1, 255]]


def test_the_rival_may_lie_below_another_mask_of_the_winner() -> None:
    """Class 1 at .60, class 2 at .65 and again at .68: the rival of the winner (.68) is .60."""
    masks = [(mask(0), 1, 0.60), (mask(0), 2, 0.65), (mask(0), 2, 0.68)]
    assert paste_masks(masks, ROW)[0, 0] == 255
    assert paste_masks([*masks, (mask(0), 2, 0.75)], ROW)[0, 0] == 2


@pytest.mark.parametrize('seed', range(3))
def test_against_a_loop_over_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks = [(rng.random((6, 7)) < 0.4, int(rng.integers(0, 3)), round(float(rng.random()), 2)) for _ in range(9)]
    painted = paste_masks(masks, (6, 7), background=9)
    for y in range(6):
        for x in range(7):
            best: dict[int, float] = {}
            for own, klass, score in masks:
                if own[y, x]:
                    best[klass] = max(best.get(klass, -1.0), score)
            ranked = sorted(best.values(), reverse=True)
            if not ranked:
                wanted = {9}
            elif len(ranked) > 1 and ranked[0] - ranked[1] < 0.1 - 1e-9:
                wanted = {255}
            else:
                wanted = {klass for klass, score in best.items() if score == ranked[0]}
            assert int(painted[y, x]) in wanted


def test_wrong_masks_are_named() -> None:
    with pytest.raises(ValueError, match='shape'):
        paste_masks([(np.zeros((2, 2), bool), 1, 0.5)], ROW)
    with pytest.raises(ValueError, match='class 255'):
        paste_masks([(mask(0), 255, 0.5)], ROW)
