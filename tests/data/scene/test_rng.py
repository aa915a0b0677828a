from __future__ import annotations

import numpy as np

from imbdense.data.scene.rng import child_seed, stream


def test_same_address_same_numbers_other_address_other_numbers() -> None:
    first = stream(5, 'terrain').random(4)
    assert np.array_equal(first, stream(5, 'terrain').random(4))
    for other in (stream(6, 'terrain'), stream(5, 'layout'), stream(5, 'terrain', 0), stream(5, 'terrain', 1)):
        assert not np.array_equal(first, other.random(4))


def test_child_seeds_differ_and_are_stable_under_more_children() -> None:
    seeds = [child_seed(0, 'scene', k) for k in range(100)]
    assert len(set(seeds)) == 100
    assert seeds[:10] == [child_seed(0, 'scene', k) for k in range(10)]
    assert all(0 <= seed < 2**31 for seed in seeds)
