"""Counts -> shift and weights."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.losses import foreground_weights, prior_shift
from imbdense.core.losses.prior_shift import REMOVED, removed_shift, with_background

COUNTS = torch.tensor([80.0, 15.0, 5.0])
PRIOR = torch.tensor([0.80, 0.15, 0.05], dtype=torch.float64)


def test_softmax_over_the_classes() -> None:
    assert torch.allclose(prior_shift(COUNTS, 3, tau=0.5), 0.5 * PRIOR.log())


def test_background_is_not_shifted_and_the_mean_over_objects_is_zero() -> None:
    shift = prior_shift(COUNTS, 4)
    assert shift[3] == 0
    assert (PRIOR * shift[:3]).sum().item() == pytest.approx(0.0, abs=1e-12)
    assert torch.allclose(shift[0] - shift[2], torch.log(PRIOR[0] / PRIOR[2]))
    assert torch.allclose(prior_shift(COUNTS, 4, center=False)[:3], PRIOR.log())


def test_sigmoid_forms() -> None:
    assert (PRIOR * prior_shift(COUNTS, 3, use_sigmoid=True)).sum().item() == pytest.approx(0.0, abs=1e-12)
    odds = prior_shift(COUNTS, 3, use_sigmoid=True, center=False)
    assert torch.allclose(odds, torch.log(PRIOR / (1 - PRIOR)))


def test_a_distribution_does_as_well_as_counts() -> None:
    assert torch.allclose(prior_shift(PRIOR, 3), PRIOR.log())
    filled = torch.tensor([0.9, 0.1, 0.1], dtype=torch.float64)
    assert torch.allclose(prior_shift(torch.tensor([0.9, 0.1, 0.0]), 3), (filled / filled.sum()).log())


def test_class_without_a_sample_counts_once_or_is_removed() -> None:
    counts = torch.tensor([99.0, 0.0])
    assert torch.allclose(prior_shift(counts, 2), torch.log(torch.tensor([0.99, 0.01], dtype=torch.float64)))
    assert prior_shift(counts, 2, empty_class='mask')[1] == REMOVED


def test_wrong_number_of_channels_tells_what_to_look_at() -> None:
    with pytest.raises(ValueError, match=r'3 entries but the logits have 6 channels.*reduce_zero_label'):
        prior_shift(COUNTS, 6)
    with pytest.raises(ValueError, match='4 channels'):
        prior_shift(COUNTS, 4, use_sigmoid=True)


def test_foreground_weights_have_mean_one_over_the_objects() -> None:
    weights = torch.tensor([0.1, 0.5, 1.0])
    assert torch.equal(foreground_weights(weights, COUNTS, 3), weights.double())
    scaled = foreground_weights(weights, COUNTS, 4)
    assert scaled[3] == 1 and (PRIOR * scaled[:3]).sum().item() == pytest.approx(1.0)
    assert (scaled[2] / scaled[0]).item() == pytest.approx(10.0)


def test_a_background_channel_gets_the_mean_over_the_objects() -> None:
    values = torch.tensor([1.0, 2.0, 4.0])
    assert torch.equal(with_background(values, COUNTS, 3), values.double())
    assert with_background(values, COUNTS, 4).tolist() == pytest.approx([1.0, 2.0, 4.0, 0.8 + 0.3 + 0.2])


def test_removed_classes() -> None:
    counts = torch.tensor([9.0, 0.0])
    assert removed_shift(counts, 2) is None
    assert removed_shift(counts, 3, 'mask').tolist() == [0.0, REMOVED, 0.0]
    with pytest.raises(ValueError, match='empty_class'):
        removed_shift(counts, 2, 'drop')
