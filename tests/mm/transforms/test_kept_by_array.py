"""Results kept by the array they come from."""

from __future__ import annotations

import copy
import gc
from typing import Any

import numpy as np

from imbdense.mm.transforms.kept_by_array import KeptByArray
from imbdense.mm.transforms.point_height import PointHeight


def read_only(values: Any) -> np.ndarray:
    array = np.array(values, np.float32)
    array.setflags(write=False)
    return array


def test_computed_once_per_kept_array_and_forgotten_with_it() -> None:
    kept, calls = KeptByArray(), []
    first, equal = read_only([1, 2]), read_only([1, 2])
    for array in (first, first, equal):
        assert kept.get(array, lambda: calls.append(1) or len(calls)) == (2 if array is equal else 1)
    del first, array
    gc.collect()
    assert len(calls) == 2 and len(kept._known) == 1
    assert not copy.deepcopy(kept)._known


def test_an_array_that_may_change_is_never_remembered() -> None:
    kept, array = KeptByArray(), np.zeros(2)
    assert [kept.get(array, array.sum) for array[0] in (1.0, 5.0)] == [1.0, 5.0]


def test_heights_of_a_kept_scene_are_estimated_once_and_equal() -> None:
    points = read_only(np.random.default_rng(0).uniform(0, 20, (500, 3)))
    transform = PointHeight(cell=2.0, window=10.0)
    first, second = (transform({'points': points, 'attributes': {}})['attributes']['height'] for _ in range(2))
    assert first is second
    assert np.array_equal(first, PointHeight(cell=2.0, window=10.0)({'points': points.copy()})['attributes']['height'])
