"""CutMix on batches: sizes of the rectangles, what comes from where."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.views import cutmix_masks, paste


def test_a_mask_is_one_rectangle_of_the_asked_size() -> None:
    masks = cutmix_masks(200, 40, 60, probability=1.0, generator=torch.Generator().manual_seed(0))
    areas = masks.flatten(1).sum(1) / (40 * 60)
    assert float(areas.min()) > 0.01 and float(areas.max()) <= 0.4
    for mask in masks:
        rows, columns = mask.any(1).sum(), mask.any(0).sum()
        assert int(mask.sum()) == int(rows * columns)
        assert 0.25 < float(rows / columns) < 4.0
    assert masks[:, 0].any() and masks[:, -1].any() and masks[:, :, 0].any() and masks[:, :, -1].any()


def test_the_area_is_uniform_whatever_fits() -> None:
    """An area that is drawn again with the corner makes large rectangles rare: their mean is .14 then."""
    masks = cutmix_masks(4000, 64, 64, probability=1.0, generator=torch.Generator().manual_seed(2))
    areas = masks.flatten(1).float().mean(1)
    assert float(areas.mean()) == pytest.approx(0.21, abs=0.01)
    assert float((areas > 0.3).float().mean()) == pytest.approx(0.1 / 0.38, abs=0.04)


def test_the_chance_is_met_and_zero_means_never() -> None:
    generator = torch.Generator().manual_seed(1)
    share = cutmix_masks(2000, 8, 8, probability=0.25, area=(0.2, 0.4), generator=generator).flatten(1).any(1)
    assert float(share.float().mean()) == pytest.approx(0.25, abs=0.03)
    assert not cutmix_masks(50, 8, 8, probability=0.0).any()
    with pytest.raises(ValueError, match='probability'):
        cutmix_masks(1, 8, 8, probability=1.5)


def test_same_generator_same_rectangles() -> None:
    one, two = (cutmix_masks(5, 20, 20, probability=1.0, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two)


def test_one_pixel_images_do_not_hang() -> None:
    assert cutmix_masks(3, 1, 1, probability=1.0).shape == (3, 1, 1)


def test_paste_takes_the_partner_where_the_mask_is_set() -> None:
    mask = torch.tensor([[[True, False], [False, False]]])
    image, label = torch.zeros(1, 3, 2, 2), torch.full((1, 2, 2), 7)
    mixed = paste(image, torch.ones_like(image), mask)
    assert mixed.sum() == 3 and mixed[0, :, 0, 0].tolist() == [1, 1, 1]
    assert paste(label, torch.full_like(label, 255), mask).tolist() == [[[255, 7], [7, 7]]]
    assert image.sum() == 0 and label.unique().tolist() == [7], 'the inputs are not written to'
