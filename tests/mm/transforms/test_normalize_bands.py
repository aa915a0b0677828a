from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('mmcv')
from imbdense.mm.transforms.normalize_bands import NormalizeBands
from tests.mm.transforms.geo_samples import STATISTICS, sample


def test_every_date_by_the_same_statistics_and_invalid_pixels_at_zero() -> None:
    before, after = sample(2), NormalizeBands()(sample(2))
    assert after['img'].dtype == np.float32
    for date in range(2):
        bands = slice(6 * date, 6 * date + 6)
        wanted = (before['img'][..., bands] - np.array(STATISTICS.mean)) / np.array(STATISTICS.std)
        valid = before['valid'][..., date]
        assert np.allclose(after['img'][..., bands][valid], wanted[valid], atol=1e-5)
    assert not after['img'][2, 3, :6].any() and after['img'][2, 3, 6:].any()
    assert np.array_equal(after['img'][..., 4][before['valid'][..., 0]], before['img'][..., 4][before['valid'][..., 0]])


def test_clipping_to_the_percentiles() -> None:
    item = sample()
    item['img'][0, 0, :4] = 1e6
    after = NormalizeBands(clip=True)(item)
    assert np.allclose(after['img'][0, 0, :4], [2.5, 2.5, 2.5, 4.0])


def test_a_crop_that_forgot_the_mask_is_noticed() -> None:
    item = sample()
    item['img'] = item['img'][:5]
    with pytest.raises(ValueError, match='Put NormalizeBands before'):
        NormalizeBands()(item)


def test_dates_that_are_exchanged_take_their_masks_along() -> None:
    from imbdense.mm.transforms.swap_dates import SwapDates

    after = NormalizeBands()(SwapDates(prob=1.0)(sample(2)))
    assert not after['img'][2, 3, 6:].any() and after['img'][2, 3, :6].any()


def test_statistics_of_other_bands_are_refused() -> None:
    for change in ({'band_statistics': None}, {'bands': ('a', 'b', 'c', 'd', 'e', 'f')}):
        with pytest.raises(ValueError, match='statistics'):
            NormalizeBands()(sample() | change)
