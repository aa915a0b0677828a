"""The shift of logit adjustment by hand, and which of equally good strengths wins."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.inference import best_value, logit_adjust_shift


def test_hand_example() -> None:
    # n = (100, 10), z = (1, 0): z - log pi = (1.0953, 2.3979), class 1 wins
    adjusted = np.array([1.0, 0.0]) + logit_adjust_shift([100, 10], 1.0) + np.log(2)
    assert adjusted == pytest.approx([1.0953, 2.3979], abs=5e-5) and adjusted.argmax() == 1


def test_centre_and_target() -> None:
    centred = logit_adjust_shift([0.9, 0.1], 1.0, center=True)
    assert (centred * [0.9, 0.1]).sum() == pytest.approx(0.0)
    assert logit_adjust_shift([0.9, 0.1], 1.0, target=[0.9, 0.1]) == pytest.approx([0.0, 0.0])
    assert not logit_adjust_shift([9, 1], 0.0).any()


def test_ties_go_to_the_value_nearest_to_neutral() -> None:
    assert best_value([-1.0, 0.0, 0.5, 1.0], [0.3, 0.5, 0.5, 0.5]) == 1
    assert best_value([0.0, 1.0], [float('nan'), 0.1]) == 1
    with pytest.raises(ValueError, match='no value could be scored'):
        best_value([0.0], [float('nan')])
