"""LocalGeometry: attributes by name, radius, small clouds; the mathematics is tested in core."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from imbdense.core.points import GEOMETRY
from imbdense.registry import TRANSFORMS


def cloud(points: Any) -> dict[str, Any]:
    points = np.asarray(points, np.float32)
    return {'points': points, 'attributes': {'rgb': np.zeros((len(points), 3), np.float32)}, 'points_path': 'a.laz'}


def build(**options: Any) -> Any:
    return TRANSFORMS.build(dict(type='imbdense.LocalGeometry', **options))


def test_line_and_plane_are_told_apart_and_old_attributes_stay() -> None:
    line = np.c_[np.arange(30) / 10, np.zeros((30, 2))]
    grid = np.stack(np.meshgrid(np.arange(10) / 10, np.arange(10) / 10), -1).reshape(-1, 2) + 50
    found = build(names=('linearity', 'planarity'), k=9)(cloud(np.concatenate((line, np.c_[grid, np.zeros(100)]))))
    attributes = found['attributes']
    assert set(attributes) == {'rgb', 'linearity', 'planarity'}
    assert attributes['linearity'].shape == (130, 1) and attributes['linearity'].dtype == np.float32
    assert (attributes['linearity'][:30] > 0.9).all() and (attributes['planarity'][30:] > 0.4).all()
    assert (attributes['planarity'][:30] < 0.01).all()


def test_far_neighbours_do_not_count() -> None:
    far = build(radius=1.0)(cloud(np.c_[np.arange(20) * 5, np.zeros((20, 2))]))
    assert set(far['attributes']) == {'rgb', *GEOMETRY}
    assert all((far['attributes'][name] == 0).all() for name in GEOMETRY)


def test_small_clouds_and_wrong_options() -> None:
    for number in (0, 1, 3):
        assert build()(cloud(np.zeros((number, 3))))['attributes']['length'].shape == (number, 1)
    with pytest.raises(ValueError, match='colour'):
        build(names=('colour',))
    with pytest.raises(ValueError, match='k_min'):
        build(k=5, k_min=6)
