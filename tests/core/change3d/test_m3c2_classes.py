"""Kinds of change by rules: a house, a tree, a car; epochs swapped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from imbdense.core.change3d import M3C2ClassRules, classify_changes, m3c2
from imbdense.core.change3d.m3c2_classes import DEMOLITION, GROWTH, MOBILE, NEW_BUILDING, NEW_VEGETATION, UNCHANGED

FLAT, BUSH = (0.9, 0.0), (0.1, 0.6)
"""Planarity and verticality of a roof and of a crown."""


def scene(height: float, half: float, crown: bool = False, before: bool = False) -> dict[str, Any]:
    """A thing of that height stands in the middle at epoch 2; ``before``: the crown has half its height at epoch 1."""
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 40, (12_000, 2))
    inside = (np.abs(xy - 20) <= half).all(axis=1)

    def cloud(top: float) -> np.ndarray:
        return np.column_stack([xy, np.where(inside, top, 0.0) + rng.normal(0, 0.02, len(xy))])

    def shape(is_crown: bool) -> np.ndarray:
        return np.where((inside & is_crown)[:, None], BUSH, FLAT)

    return {'epoch1': cloud(height / 2 if before else 0.0), 'shape1': shape(before),
            'epoch2': cloud(height), 'shape2': shape(crown), 'inside': inside}


def classes(case: dict[str, Any], swap: bool = False, **rules: float) -> np.ndarray:
    ends = ('2', '1') if swap else ('1', '2')
    first, second = (case[f'epoch{end}'] for end in ends)
    core = np.column_stack([np.mgrid[0.5:40, 0.5:40].reshape(2, -1).T, np.zeros(1600)])
    found = m3c2(first, second, core, cylinder_radius=0.8, max_distance=12, normals=(0, 0, 1.0), engine='numpy')
    result: np.ndarray = classify_changes(core, found, first, case[f'shape{ends[0]}'], second, case[f'shape{ends[1]}'],
                                          M3C2ClassRules(**rules))
    return result


@pytest.mark.parametrize(
    ('case', 'kind'),
    [
        ({'height': 8, 'half': 6}, NEW_BUILDING),
        ({'height': 1.6, 'half': 2}, MOBILE),
        ({'height': 6, 'half': 4, 'crown': True}, NEW_VEGETATION),
        ({'height': 8, 'half': 4, 'crown': True, 'before': True}, GROWTH),
    ],
)
def test_kinds(case: dict[str, Any], kind: int) -> None:
    found = classes(scene(**case))
    counts = np.bincount(found, minlength=7)
    assert set(np.flatnonzero(counts)) == {UNCHANGED, kind}
    side = 2 * case['half']
    assert 0.7 * side**2 <= counts[kind] <= 1.6 * (side + 1) ** 2


def test_swapped_epochs_swap_new_building_and_demolition() -> None:
    """Acceptance D: exactly, with given normals."""
    case = scene(8, 6)
    there, back = classes(case), classes(case, swap=True)
    np.testing.assert_array_equal(there == NEW_BUILDING, back == DEMOLITION)
    np.testing.assert_array_equal(there == UNCHANGED, back == UNCHANGED)


def test_small_changes_are_none() -> None:
    assert not classes(scene(0.3, 6)).any()
    assert not classes(scene(8, 6), min_points=10_000).any()


def test_wrong_input_is_named() -> None:
    case = scene(8, 6)
    core = case['epoch2'][:50]
    found = m3c2(case['epoch1'], case['epoch2'], core, cylinder_radius=1, max_distance=12, normals=(0, 0, 1.0),
                 engine='numpy')
    with pytest.raises(ValueError, match='shape2'):
        classify_changes(core, found, case['epoch1'], case['shape1'], case['epoch2'], case['shape2'][:5])
    with pytest.raises(ValueError, match='core points'):
        classify_changes(core[:5], found, case['epoch1'], case['shape1'], case['epoch2'], case['shape2'])
    with pytest.raises(ValueError, match='planarity'):
        M3C2ClassRules(planarity=-1)
