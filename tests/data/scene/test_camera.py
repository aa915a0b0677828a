from __future__ import annotations

import json

import numpy as np
import pytest

from imbdense.data.scene.camera import Camera, camera_from_record, distort, undistort

LENS = (-0.02, 0.005, 0.001, -0.002)


def example(distortion: tuple[float, float, float, float] = LENS) -> Camera:
    c2w = np.eye(4)
    c2w[:3, :3] = np.diag([1.0, -1.0, -1.0])
    c2w[:3, 3] = (10, 20, 50)
    k = np.array([[100.0, 0, 32], [0, 100, 24], [0, 0, 1]])
    return Camera(3, k, distortion, c2w, 64, 48, 0.0, 0.0, 50.0)


def test_distort_hand_example() -> None:
    x, y = distort(np.array([0.5]), np.array([0.0]), (0.1, 0.0, 0.0, 0.01))
    assert x[0] == pytest.approx(0.5 * (1 + 0.1 * 0.25) + 0.01 * 3 * 0.25) and y[0] == pytest.approx(0.0)


def test_undistort_inverts_distort_over_the_field_of_view() -> None:
    x, y = np.meshgrid(np.linspace(-0.6, 0.6, 21), np.linspace(-0.45, 0.45, 17))
    back = undistort(*distort(x, y, LENS), LENS)
    assert np.abs(back[0] - x).max() < 1e-6 and np.abs(back[1] - y).max() < 1e-6


def test_ray_through_a_pixel_projects_back_to_its_centre() -> None:
    camera = example()
    rays = camera.directions().reshape(-1, 3) @ camera.c2w[:3, :3].T
    pixels, depth = camera.project(camera.c2w[:3, 3] + 37.0 * rays)
    v, u = np.divmod(np.arange(64 * 48), 64)
    assert np.allclose(depth, 37.0, rtol=1e-5)
    assert np.abs(pixels - np.stack([u + 0.5, v + 0.5], 1)).max() < 2e-3


def test_principal_ray_looks_down_and_image_axes_point_east_and_south() -> None:
    camera = example((0.0, 0.0, 0.0, 0.0))
    pixels, depth = camera.project(np.array([[10, 20, 0], [11, 20, 0], [10, 21, 0], [10, 20, 60.0]]))
    assert pixels[0] == pytest.approx([32, 24]) and pixels[1] == pytest.approx([34, 24])
    assert pixels[2] == pytest.approx([32, 22])
    assert depth[0] == pytest.approx(50) and depth[3] < 0


def test_coarse_rays_cover_the_same_field_of_view() -> None:
    camera = example((0.0, 0.0, 0.0, 0.0))
    fine, coarse = camera.directions(), camera.directions(0.5)
    assert coarse.shape == (24, 32, 3)
    assert np.allclose(coarse, (fine[0::2, 0::2] + fine[1::2, 1::2]) / 2, atol=1e-6)


def test_record_round_trip() -> None:
    camera = example()
    copy = camera_from_record(json.loads(json.dumps(camera.record('images/00003.png'))))
    assert np.array_equal(copy.c2w, camera.c2w) and copy.distortion == camera.distortion and copy.number == 3
