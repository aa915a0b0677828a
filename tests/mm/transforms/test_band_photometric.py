from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('mmcv')
from imbdense.data.raster.bands import Band
from imbdense.mm.transforms.band_photometric import BandPhotometric, _color_matrix
from tests.mm.transforms.geo_samples import sample


def test_only_image_bands_change_and_each_date_by_itself() -> None:
    np.random.seed(0)
    before, after = sample(2), BandPhotometric()(sample(2))
    changed = np.abs(after['img'] - before['img']).max(axis=(0, 1)) > 0
    assert changed.tolist() == [True, True, True, False, False, False] * 2
    ratio = [after['img'][..., 6 * date].mean() / before['img'][..., 6 * date].mean() for date in range(2)]
    assert abs(ratio[0] - ratio[1]) > 0.01


def test_brightness_scales_and_contrast_keeps_the_mean_of_valid_pixels() -> None:
    np.random.seed(1)
    before, after = sample(), BandPhotometric(contrast=0, saturation=0, hue=0)(sample())
    ratio = after['img'][..., :3] / before['img'][..., :3]
    assert ratio.std() < 1e-5 and 0.7 <= ratio.mean() <= 1.3 and abs(ratio.mean() - 1) > 1e-3
    after = BandPhotometric(brightness=0, saturation=0, hue=0)(sample())
    valid = before['valid'][..., 0]
    assert np.allclose(after['img'][valid][:, :3].mean(axis=0), before['img'][valid][:, :3].mean(axis=0), rtol=1e-5)
    assert abs(after['img'][valid][:, 0].std() / before['img'][valid][:, 0].std() - 1) > 1e-3


def test_hue_and_saturation_keep_grey() -> None:
    np.random.seed(2)
    before, after = sample(), BandPhotometric(brightness=0, contrast=0, hue=0.5)(sample())
    assert np.allclose(after['img'][..., :3].sum(axis=2), before['img'][..., :3].sum(axis=2), rtol=1e-4)
    assert np.allclose(_color_matrix(1.0, 0.0), np.eye(3), atol=1e-6)
    assert np.allclose(_color_matrix(1.0, 2 * np.pi / 3) @ [1, 0, 0], [0, 1, 0], atol=1e-6)


def test_without_all_three_colours_there_is_no_hue() -> None:
    item = sample()
    item['bands'] = tuple(Band(b.name, b.kind, None if b.role == 'red' else b.role) for b in item['bands'])
    after = BandPhotometric(brightness=0, contrast=0)(item)
    assert np.allclose(after['img'], sample()['img'])


@pytest.mark.parametrize('argument', ['brightness', 'contrast', 'saturation', 'hue'])
def test_ranges(argument: str) -> None:
    with pytest.raises(ValueError, match=argument):
        BandPhotometric(**{argument: 1.5})
