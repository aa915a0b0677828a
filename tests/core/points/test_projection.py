"""Projection: rounding, borders, what is behind and what is hidden; volumes against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.points import FeatureVolume, pool_directions, pool_rows, project, sightings

K = np.array([[100.0, 0, 50], [0, 100.0, 40], [0, 0, 1]])


def test_pinhole_by_hand() -> None:
    pose = np.eye(4)
    pose[:3, 3] = (1, 2, 3)
    uv, depth = project(np.array([[1.0, 2, 5], [1.5, 2, 4], [1, 2, 2]]), K, pose)
    assert np.allclose(uv[:2], [[50, 40], [100, 40]]) and depth.tolist() == [2, 1, -1]
    turned = np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])  # x of the camera = y of the world
    assert np.allclose(project(np.array([[0, 1.0, 2]]), K, turned)[0], [[100, 40]])


def test_half_a_pixel_goes_to_the_even_one() -> None:
    uv = np.array([[0.5, 0.0], [1.5, 0.0], [2.4999, 0.0], [-0.5, 0.0]])
    seen = sightings(uv, np.ones(4), (1, 4))
    assert seen.point.tolist() == [0, 1, 2, 3] and seen.column.tolist() == [0, 2, 2, 0]


def test_border_and_what_lies_behind() -> None:
    uv = np.array([[2, 2], [1, 2], [7, 2], [8, 2], [5, 7], [5, 8], [5, 5]], float)
    seen = sightings(uv, np.array([1, 1, 1, 1, 1, 1, -1.0]), (10, 10), border=2)
    assert seen.point.tolist() == [0, 2, 4]
    assert len(sightings(np.full((1, 2), 1e300), np.ones(1), (10, 10)).point) == 0
    assert len(sightings(np.zeros((0, 2)), np.zeros(0), (4, 4)).point) == 0


def test_depth_decides_what_is_hidden() -> None:
    depth = np.zeros((2, 3), np.float32)
    depth[0] = (10, 10, 0)  # nothing met in the third
    uv = np.array([[0, 0], [1, 0], [2, 0], [0, 0]], float)
    seen = sightings(uv, np.array([10.4, 11.0, 10.0, 9.6]), (2, 3), depth_map=depth, tolerance=0.05)
    assert seen.point.tolist() == [0, 3] and np.allclose(seen.agreement, [0.2, 0.2])
    with pytest.raises(ValueError, match='depth map is'):
        sightings(uv, np.ones(4), (3, 2), depth_map=depth)


@pytest.mark.parametrize('reduce', ['mean', 'median', 'vis_weighted'])
def test_volume_equals_a_loop(reduce: str) -> None:
    rng = np.random.default_rng(0)
    volume, kept, weights = FeatureVolume(9, 3, reduce), [[] for _ in range(9)], [[] for _ in range(9)]
    for _ in range(5):
        point = np.flatnonzero(rng.random(8) < 0.6)  # nobody sees the ninth
        values, agreement = rng.integers(-8, 8, (len(point), 3)).astype(float), rng.random(len(point))
        volume.add(point, values, agreement)
        for i, row, w in zip(point, values, agreement):
            kept[i].append(row)
            weights[i].append(max(w, 0.05))
    found = volume.result()
    assert found.dtype == np.float32 and (found[8] == 0).all()
    for i in range(8):
        if not kept[i]:
            continue
        rows = np.array(kept[i])
        wanted = {'mean': rows.mean(0), 'median': np.median(rows, 0),
                  'vis_weighted': np.average(rows, 0, weights[i])}[reduce]  # fmt: skip
        assert np.allclose(found[i], wanted, atol=1e-5) and volume.count[i] == len(rows)


def test_volume_refuses_what_it_cannot_hold() -> None:
    volume = FeatureVolume(4, 2)
    with pytest.raises(ValueError, match='NaN'):
        volume.add(np.array([0]), np.array([[np.nan, 0]]))
    with pytest.raises(ValueError, match='must be'):
        volume.add(np.array([0]), np.zeros((1, 3)))
    with pytest.raises(ValueError, match='once only'):
        volume.add(np.array([1, 1]), np.zeros((2, 2)))
    assert (FeatureVolume(3, 2, 'median').result() == 0).all()


def test_pooling_equals_a_loop_and_has_a_gradient() -> None:
    rows = torch.randn(20, 4, dtype=torch.double, requires_grad=True)
    part = torch.tensor([0, 0, 2, -1] * 5)
    mean, count = pool_rows(rows, part, 4)
    assert count.tolist() == [10, 0, 5, 0] and torch.allclose(mean[2], rows[part == 2].mean(0)) and (mean[1] == 0).all()
    assert torch.autograd.gradcheck(lambda x: pool_directions(x, part, 4)[0][[0, 2]], (rows,))
    unit, _ = pool_directions(10 * rows, part, 4)
    assert torch.allclose(unit, pool_directions(rows, part, 4)[0]) and torch.allclose(unit[0].norm(), unit.new_ones(()))
    with torch.autocast('cpu', torch.bfloat16):
        assert pool_directions(rows.bfloat16(), part, 4)[0].dtype == torch.float32
