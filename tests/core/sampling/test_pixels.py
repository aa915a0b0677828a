"""Class-balanced pixels: factors by hand, expectations, ignored pixels, images without any."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.sampling import pixel_factors, pixel_weights


def test_factors_by_hand():
    """n = (1000, 10), level .5: n* = 100."""
    counts = torch.tensor([1000, 10])
    assert pixel_factors(counts, 'under', 0.5).tolist() == pytest.approx([0.1, 1])
    assert pixel_factors(counts, 'over', 0.5).tolist() == pytest.approx([1, 10])
    assert pixel_factors(counts, 'under', 1.0).tolist() == pytest.approx([0.01, 1])
    assert pixel_factors(counts, 'over', 1.0).tolist() == pytest.approx([1, 20]), 'capped'
    assert pixel_factors(counts, 'over', 1.0, max_weight=1000).tolist() == pytest.approx([1, 100])
    for mode in ('under', 'over'):
        assert pixel_factors(counts, mode, 0.0).tolist() == pytest.approx([1, 1])


def test_a_class_that_does_not_occur_counts_nothing():
    assert pixel_factors(torch.tensor([100, 0, 10]), 'under').tolist() == pytest.approx([0.1, 1, 1])
    assert pixel_factors(torch.tensor([0, 0]), 'over').tolist() == [1, 1]
    shares = pixel_factors(torch.tensor([0.9, 0.0, 0.1]), 'under', 1.0)
    assert shares.tolist() == pytest.approx([1 / 9, 1, 1])


def test_over_is_the_weight_of_the_class_scaled_to_mean_one():
    label = torch.tensor([[[0, 0, 0, 1, 255]]])
    weights = pixel_weights(label, torch.tensor([1.0, 5.0]), 'over')
    assert weights.flatten().tolist() == pytest.approx([0.5, 0.5, 0.5, 2.5, 0])
    assert weights.dtype == torch.float32 and weights.shape == label.shape


def test_under_keeps_with_the_chance_of_the_class():
    torch.manual_seed(0)
    label = torch.zeros(4, 100, 100, dtype=torch.long)
    label[:, :10] = 1
    label[0, 50:] = 255
    weights = pixel_weights(label, torch.tensor([0.1, 1.0]), 'under')
    kept = weights > 0
    assert kept[label == 1].all() and not kept[label == 255].any()
    chance = kept[label == 0].float().mean()
    assert abs(chance - 0.1) < 4 * (0.09 / int((label == 0).sum())) ** 0.5
    assert len(weights[kept].unique()) == 1, 'kept pixels weigh the same'
    assert weights[label != 255].mean() == pytest.approx(1, rel=1e-5)
    assert not torch.equal(kept, pixel_weights(label, torch.tensor([0.1, 1.0]), 'under') > 0)


def test_under_equals_over_in_expectation():
    torch.manual_seed(1)
    label = torch.randint(0, 3, (2, 40, 40))
    value = torch.rand(2, 40, 40)
    factors = torch.tensor([0.2, 0.5, 1.0])
    mean = torch.stack([(pixel_weights(label, factors, 'under') * value).mean() for _ in range(300)])
    expected = (pixel_weights(label, factors, 'over') * value).mean()
    assert abs(mean.mean() - expected) < 4 * mean.std() / 300**0.5 + 2e-3


def test_one_pixel_of_each_image_is_always_kept():
    label = torch.zeros(5, 6, 6, dtype=torch.long)
    label[3] = 255
    weights = pixel_weights(label, torch.tensor([1e-6, 1.0]), 'under')
    assert (weights > 0).flatten(1).sum(1).tolist() == [1, 1, 1, 0, 1]


def test_nothing_valid_and_nothing_at_all():
    for mode in ('under', 'over'):
        assert (pixel_weights(torch.full((2, 3, 3), 255), torch.ones(2), mode) == 0).all()
        assert pixel_weights(torch.zeros(0, 3, 3, dtype=torch.long), torch.ones(2), mode).shape == (0, 3, 3)
    volume = torch.zeros(1, 2, 3, 4, dtype=torch.long)
    assert pixel_weights(volume, torch.ones(2), 'under').shape == volume.shape
    points = torch.tensor([[0, 1, -1, 7]])
    assert (pixel_weights(points, torch.ones(2), 'over', ignore_index=-1) > 0).tolist() == [[True, True, False, False]]


@pytest.mark.parametrize('wrong', [{'mode': 'both'}, {'level': 2}, {'max_weight': 0.5}])
def test_wrong_arguments_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        pixel_factors(torch.tensor([3, 1]), **{'mode': 'under', **wrong})
    with pytest.raises(ValueError, match='mode'):
        pixel_weights(torch.zeros(1, 2, 2, dtype=torch.long), torch.ones(2), 'both')
