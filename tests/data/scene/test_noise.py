from __future__ import annotations

import numpy as np
import pytest

from imbdense.data.scene.noise import TILE_SIZE, sample_tile, spectral_fbm, value_noise_tile
from imbdense.data.scene.rng import stream


def test_fbm_range_and_slope_of_the_spectrum() -> None:
    rough, smooth = (spectral_fbm(128, hurst, stream(0, 'x')) for hurst in (0.3, 1.1))
    for field in (rough, smooth):
        assert field.min() == 0 and field.max() == 1
    steps = [np.abs(np.diff(field, axis=0)).mean() for field in (rough, smooth)]
    assert steps[1] < 0.5 * steps[0]


def test_fbm_spectrum_follows_the_power_law() -> None:
    power = np.zeros(129)
    frequency = np.fft.rfftfreq(256)
    for seed in range(8):
        field = spectral_fbm(256, 0.8, stream(seed, 'x'))
        spectrum = np.abs(np.fft.rfft2(field - field.mean())) ** 2
        spectrum /= spectrum[0, 1:40].mean()
        power += spectrum[0]
    slope = np.polyfit(np.log(frequency[2:60]), np.log(power[2:60]), 1)[0]
    assert slope == pytest.approx(-3.6, abs=0.5)  # |f|^(-2(H+1))


def test_value_noise_is_normalised_periodic_and_smooth() -> None:
    tile = value_noise_tile(0)
    assert tile.shape == (TILE_SIZE, TILE_SIZE)
    assert abs(float(tile.mean())) < 1e-4 and float(tile.std()) == pytest.approx(1, abs=1e-3)
    inner = np.abs(np.diff(tile, axis=0)).max()
    assert np.abs(tile[0] - tile[-1]).max() <= 1.2 * inner
    assert not np.array_equal(tile, value_noise_tile(1))


def test_sampling_repeats_after_one_period_and_accepts_negative_coordinates() -> None:
    tile = value_noise_tile(0)
    u = np.array([-3.17, 0.0, 12.3], np.float32)
    period = np.float32(TILE_SIZE * 0.5)
    assert np.array_equal(sample_tile(tile, u, u, 0.5), sample_tile(tile, u + period, u - period, 0.5))
