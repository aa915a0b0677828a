"""Parts of clouds: instances, connected points, what is too small or too wide."""

from __future__ import annotations

import numpy as np

from imbdense.data.instance_bank import cut_parts
from imbdense.data.instance_bank.cut_parts import connected_parts


def test_connected_parts_equal_a_slow_search() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 12, (150, 3)) * [1, 1, 0.2]
    cells = np.floor(points / 1.0).astype(int)
    slow = np.arange(150)
    for _ in range(150):  # the smallest number of a neighbour, until nothing changes
        near = (np.abs(cells[:, None] - cells[None]).max(-1) <= 1)
        new = np.where(near, slow[None], 150).min(1)
        if (new == slow).all():
            break
        slow = new
    found = connected_parts(points, 1.0)
    same = found[:, None] == found[None]
    assert (same == (slow[:, None] == slow[None])).all()


def test_parts_by_instance_and_by_connection() -> None:
    near, far = np.zeros((12, 3)), np.full((15, 3), 20.0)
    points = np.concatenate([near, far, near + [0.5, 0, 0], far + 40]).astype(np.float32)
    labels = np.repeat([1, 1, 2, -1], [12, 15, 12, 15])
    instances = np.repeat([7, -1, -1, -1], [12, 15, 12, 15])
    found = list(cut_parts(points, 'scene', labels, 3, instances))
    assert [(item.klass, len(item.values), item.modality) for item in found] == [
        (1, 12, 'points'), (1, 15, 'points'), (2, 12, 'points')]
    assert [item.klass for item in cut_parts(points, 'scene', labels, 3, classes=[2])] == [2]
    assert list(cut_parts(points, 'scene', labels, 3, min_points=20)) == []


def test_wide_parts_are_ground() -> None:
    road = np.column_stack([np.linspace(0, 50, 200), np.zeros(200), np.zeros(200)]).astype(np.float32)
    assert list(cut_parts(road, 'scene', np.zeros(200, np.int64), 1)) == []
    assert len(list(cut_parts(road, 'scene', np.zeros(200, np.int64), 1, largest=60))) == 1
