"""What a pool in memory refuses, and the contract's checks of what is labelled already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from imbdense.core.selection import Choice, ObjectPool, Selector, Task


def arrays(**changes: Any) -> dict[str, Any]:
    """Three images with 2, 0 and 1 objects."""
    return {
        'classes': ('a', 'b'), 'image_ids': ('x', 'y', 'z'), 'obj_image': np.array([0, 0, 2]),
        'obj_class': np.array([1, -1, 0], np.int32), 'obj_score': np.ones(3, np.float32),
        'obj_box': np.zeros((3, 4), np.float32), 'obj_area': np.ones(3, np.float32),
        'obj_feat': np.eye(3, dtype=np.float32), **changes,
    }  # fmt: skip


class FirstImages(Selector):
    """The first free images."""

    def choose(self, task: Task) -> Sequence[Choice]:
        return [Choice(int(image)) for image in np.flatnonzero(~task.selected)[: task.budget]]


def test_rows_of_images_and_classes() -> None:
    pool = ObjectPool(**arrays(usable=np.array([True, False, True])))
    assert pool.starts.tolist() == [0, 2, 2, 3] and pool.num_images == pool.num_objects == 3
    assert pool.usable_rows.tolist() == [0, 2] and pool.rows_of_class(-1).size == 0
    assert ObjectPool(**arrays()).rows_of_class(-1).tolist() == [1]


@pytest.mark.parametrize(('changes', 'message'), [
    ({'image_ids': ('x', 'y', 'x')}, "image_ids must be unique, but 'x' comes more than once"),
    ({'classes': ('a', 'a')}, "classes must be unique, but 'a'"),
    ({'obj_score': np.array([1, np.nan, 1], np.float32)}, 'obj_score must be finite, but row 1'),
    ({'obj_box': np.array([[0, 0, np.inf, 1]] * 3, np.float32)}, 'obj_box must be finite, but row 0'),
    ({'obj_feat': np.eye(3, dtype=np.int64)}, 'obj_feat must hold float16 or float32, but is int64'),
    ({'img_group': np.array([0, -1, 0])}, 'img_group must lie in'),
    ({'obj_image': np.array([0, 2, 1])}, 'obj_image must be ascending, but falls after row 1'),
    ({'obj_area': np.ones(2, np.float32)}, r'obj_area must have the shape \(3\), but has \(2,\)'),
])  # fmt: skip
def test_faults_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ObjectPool(**arrays(**changes))


def test_a_mask_is_no_list_of_indices() -> None:
    """A mask read as indices would mark the images 0 and 1."""
    pool = ObjectPool(**arrays())
    with pytest.raises(ValueError, match='selected must hold indices of the pool, not bool'):
        FirstImages()(pool, 1, selected=np.array([False, True, True]))
    assert FirstImages()(pool, 5, selected=[0]).images.tolist() == [1, 2]
    assert FirstImages()(pool, 5, selected=[]).images.tolist() == [0, 1, 2]
