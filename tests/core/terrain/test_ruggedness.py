from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.terrain import position_index, roughness, ruggedness
from tests.core.terrain.surfaces import hills


def peak() -> torch.Tensor:
    """One pixel 3 m above a plain, a hollow of 1 m beside it."""
    z = torch.zeros(5, 5, dtype=torch.float64)
    z[2, 2], z[2, 3] = 3.0, -1.0
    return z


def test_a_peak_by_hand() -> None:
    z = peak()
    assert float(ruggedness(z)[2, 2]) == pytest.approx((7 * 9 + 16) ** 0.5)
    assert float(ruggedness(z, 'wilson')[2, 2]) == pytest.approx((7 * 3 + 4) / 8)
    assert float(position_index(z)[2, 2]) == pytest.approx(3 + 1 / 8)
    assert float(roughness(z)[2, 2]) == 4.0
    assert float(position_index(z, 1)[2, 2]) == pytest.approx(3 - 2 / 9, abs=1e-4)


@pytest.mark.parametrize('radius', [1, 3, 7])
def test_position_index_equals_a_slow_mean(radius: int) -> None:
    z = hills(20, 23)
    padded = np.pad(z.double().numpy(), radius, mode='edge')
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * radius + 1, 2 * radius + 1))
    wanted = z.double().numpy() - windows.mean(axis=(2, 3))
    assert np.abs(position_index(z, radius).double().numpy() - wanted).max() < 3e-5


def test_a_radius_larger_than_the_raster_is_no_error() -> None:
    assert torch.isfinite(position_index(hills(6, 7), 25)).all()


def test_missing_values() -> None:
    z = hills(12, 12)
    z[5, 5] = torch.nan
    strict, kept = position_index(z, 2), position_index(z, 2, 'extrapolate')
    assert int(torch.isnan(strict).sum()) == 25 and int(torch.isnan(kept).sum()) == 1
    around = z[3:6, 3:8].flatten()[torch.isfinite(z[3:6, 3:8].flatten())]
    assert torch.isfinite(around).all() and torch.isfinite(kept[4, 4])
    known = z[2:7, 2:7][torch.isfinite(z[2:7, 2:7])]
    assert float(kept[4, 4]) == pytest.approx(float(z[4, 4] - known.mean()), abs=1e-3)
    for function in (ruggedness, roughness, position_index):
        assert int(torch.isnan(function(z)).sum()) == 9
        assert int(torch.isnan(function(z, edges='extrapolate')).sum()) == 1


def test_an_unmarked_nodata_value_is_noticed() -> None:
    z = hills()
    z[0, 0] = -3.4e38
    with pytest.raises(ValueError, match='nodata'):
        position_index(z, 3)
    with pytest.raises(ValueError, match='radius'):
        position_index(hills(), 0)
