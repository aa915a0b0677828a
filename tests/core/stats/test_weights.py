"""Counts -> weights."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from imbdense.core.stats import WEIGHT_SCHEMES, class_weight_tensor, class_weights, fill_empty_classes

COUNTS = np.array([1e9, 1e8, 1e7, 1e6])


def test_hand_examples() -> None:
    assert class_weights([100, 25], 'inverse') == pytest.approx([0.25, 1.0])
    assert class_weights([100, 25], 'inverse', gamma=0.5) == pytest.approx([0.5, 1.0])
    assert class_weights([100, 25], 'sqrt') == pytest.approx([0.5, 1.0])
    assert class_weights([100, 25], 'log') == pytest.approx([1.0, 1 - np.log(0.25)])
    assert class_weights([80, 20], 'enet') == pytest.approx([1 / np.log(1.82), 1 / np.log(1.22)])
    assert class_weights([80, 20], 'randla') == pytest.approx([1 / 0.82, 1 / 0.22])
    assert class_weights([10, 2], 'median', image_pixels=[20, 10]) == pytest.approx([0.35 / 0.5, 0.35 / 0.2])


def test_effective_number_of_the_paper_example() -> None:
    """beta = .9, n = [1, 10]: raw [1, .153534] -> times 2 / 1.153534."""
    assert class_weights([1, 10], 'effective', beta=0.9) == pytest.approx([1.73380, 0.26620], abs=1e-5)


def test_expected_counts_below_one_sample_are_not_weighted_by_effective_number() -> None:
    assert class_weights([0.4, 0.3, 0.02], 'effective').tolist() == [1.0, 1.0, 1.0]
    assert np.isfinite(class_weights([0.4, 1.5, 900.0], 'effective')).all()


def test_fixed_beta_degenerates_on_pixels_with_a_warning_and_auto_does_not() -> None:
    with pytest.warns(UserWarning, match="beta='auto'"):
        flat = class_weights(COUNTS, 'effective', beta=0.9999)
    assert flat.max() / flat.min() < 1.01
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        auto = class_weights(COUNTS, 'effective')
    assert auto.max() / auto.min() > 2


@pytest.mark.parametrize('scheme', WEIGHT_SCHEMES)
def test_finite_positive_and_rarer_weighs_at_least_as_much(scheme: str) -> None:
    counts = [1000, 100, 10, 0]
    weights = class_weights(counts, scheme, image_pixels=[2000, 2000, 2000, 0])
    assert np.isfinite(weights).all() and (weights > 0).all()
    assert (np.diff(weights[:3]) >= 0).all()


@pytest.mark.parametrize('scheme', WEIGHT_SCHEMES)
def test_tensor_form_is_the_same_function(scheme: str) -> None:
    pixels = np.array([4e9, 4e9, 3e9, 1e9])
    tensor = class_weight_tensor(torch.tensor(COUNTS), scheme, image_pixels=torch.tensor(pixels))
    assert tensor.numpy() == pytest.approx(class_weights(COUNTS, scheme, image_pixels=pixels))


def test_median_is_taken_over_classes_that_occur() -> None:
    with_absent = class_weights([10, 2, 0], 'median', image_pixels=[20, 10, 0])
    assert with_absent[:2] == pytest.approx([0.7, 1.75])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'scheme': 'inverted'}, 'scheme must be one of'),
        ({'gamma': 3}, 'gamma'),
        ({'scheme': 'effective', 'beta': 1.0}, 'beta'),
        ({'scheme': 'median'}, 'image_pixels'),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        class_weights([1, 2], **arguments)


def test_empty_classes_count_once_or_like_the_rarest() -> None:
    assert fill_empty_classes(torch.tensor([5.0, 0.0])).tolist() == [5.0, 1.0]
    assert fill_empty_classes(torch.tensor([0.75, 0.25, 0.0])).tolist() == [0.75, 0.25, 0.25]
    assert fill_empty_classes(torch.zeros(2)).tolist() == [1.0, 1.0]


@pytest.mark.parametrize('scheme', WEIGHT_SCHEMES)
def test_running_counts_that_have_seen_nothing_yet_give_finite_weights(scheme: str) -> None:
    """A first batch of ignored pixels only."""
    weights = class_weight_tensor(torch.zeros(3), scheme, image_pixels=torch.zeros(3))
    assert torch.isfinite(weights).all() and len(set(weights.tolist())) == 1
