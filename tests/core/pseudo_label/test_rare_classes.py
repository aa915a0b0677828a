"""Which classes are mined."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.pseudo_label import rarely_predicted


def test_by_hand() -> None:
    """Of 10000 predictions 9 are .0009 < .001 and 10 are not below it."""
    counts = [9000, 9, 481, 10, 500]
    assert rarely_predicted(counts, least=0) == (1,)
    assert rarely_predicted(counts, least=3) == (1, 3, 2)
    assert rarely_predicted(counts, share=0.049, least=0) == (1, 3, 2)


def test_never_predicted_classes_come_first_and_all_below_the_share_are_taken() -> None:
    counts = [10**6, 0, 5, 3, 0, 2]
    assert rarely_predicted(counts) == (1, 4, 5, 3, 2)


def test_never_all_classes_for_the_least_number() -> None:
    assert rarely_predicted([5, 5, 5]) == (0, 1)
    assert rarely_predicted([7]) == ()


def test_nothing_predicted_and_wrong_arguments() -> None:
    assert rarely_predicted(np.zeros(4)) == ()
    for wrong in ([[1, 2]], [], [-1, 2], [float('nan'), 1]):
        with pytest.raises(ValueError, match='one count >= 0 per class'):
            rarely_predicted(wrong)
    with pytest.raises(ValueError, match='share'):
        rarely_predicted([1, 2], share=1.5)
    with pytest.raises(ValueError, match='least'):
        rarely_predicted([1, 2], least=-1)
