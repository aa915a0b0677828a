from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from imbdense.data.scene.clouds import stereo
from imbdense.data.scene.clouds.stereo import baseline, correlated_noise, depth_sigma, smooth_noise
from imbdense.data.scene.rng import stream
from tests.data.scene.clouds.conftest import tiny


def test_depth_sigma_hand_example() -> None:
    config = tiny(scene={'flight': {'agl': 50.0, 'width': 200, 'fov_x': 90.0}}, stereo={'baseline': 10.0})
    assert depth_sigma(config, 50.0) == pytest.approx(50**2 * 0.35 / (100 * 10))  # f = 100 px
    assert depth_sigma(config, 100.0) == pytest.approx(4 * depth_sigma(config, 50.0))
    step = tiny(scene={'flight': {'agl': 50.0, 'width': 200, 'height': 100, 'fov_x': 90.0, 'overlap_forward': 0.8}})
    assert baseline(step) == pytest.approx(0.2 * 100 * 100 / 200)  # W_g = 100 m, H_g = 50 m


def test_noise_has_unit_variance_and_the_correlation_of_its_window() -> None:
    rng = stream(0, 'test')
    fields = np.stack([correlated_noise((96, 128), rng) for _ in range(60)])
    assert fields.std() == pytest.approx(1, abs=0.05)
    expected = np.exp(-(4.0**2) / (4 * 4.0**2))  # autocorrelation of a Gaussian window at lag 4
    assert np.mean(fields[:, :, 4:] * fields[:, :, :-4]) == pytest.approx(expected, abs=0.06)
    white = np.random.default_rng(1).standard_normal((64, 64))
    assert stereo._window_gain(4.0) == pytest.approx(1 / gaussian_filter(white, 4.0, mode='wrap', truncate=3.0).std(),
                                                     rel=0.35)
    smooth = np.stack([smooth_noise((96, 128), rng) for _ in range(60)])
    assert smooth.shape == (60, 96, 128) and 0.6 < smooth.std() < 1.2
    assert np.abs(np.diff(smooth, axis=2)).max() < 0.25


def test_thin_objects_are_one_pixel_wide_in_some_direction() -> None:
    instance = np.zeros((9, 9), np.uint16)
    instance[1:8, 2] = 5  # a pole
    instance[3:5, 5:8] = 6  # a box, two pixels high
    thin = stereo._thin(instance)
    assert thin[1:8, 2].all() and not thin[:, [0, 1, 3, 4]].any() and not thin[3:5, 5:8].any()


def test_fattening_mixes_both_sides_of_a_jump_and_nothing_else() -> None:
    depth = np.full((20, 40), 50, np.float32)
    depth[:, 20:] = 40
    met = np.ones(depth.shape, bool)
    mixed = stereo._fatten(depth, met, 2, stream(0, 'fatten'))
    changed = np.flatnonzero((mixed != depth).any(axis=0))
    assert set(changed) <= {18, 19, 20, 21} and len(changed) == 4
    assert mixed.min() >= 40 and mixed.max() <= 50
    near_side = (mixed[:, 18:22] < 41).mean()
    assert 0.1 < near_side < 0.4 and ((mixed[:, 18:22] > 42) & (mixed[:, 18:22] < 48)).any()
    assert np.array_equal(stereo._fatten(depth, met, 0, stream(0, 'fatten')), depth)
    slope = np.tile(np.linspace(40, 60, 40, dtype=np.float32), (20, 1))
    assert np.array_equal(stereo._fatten(slope, met, 2, stream(0, 'fatten')), slope)
