"""Soft regions: weighted means, labels of what is in the image, gradients."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.losses import soft_region_labels, soft_region_means
from imbdense.core.regions import region_means


def test_by_hand() -> None:
    """Two pixels with features 1 and 3; class 0 has 3/4 of the first and 1/4 of the second: (3/4 + 3/4) / 1 = 1.5."""
    logits = torch.tensor([[3.0, 1.0], [1.0, 3.0]]).log().view(1, 2, 1, 2)
    means = soft_region_means(torch.tensor([1.0, 3.0]).view(1, 1, 1, 2), logits)
    assert means.shape == (1, 2, 1) and means.flatten().tolist() == pytest.approx([1.5, 2.5])


def test_equals_a_loop() -> None:
    features, logits = torch.randn(2, 5, 4, 3), torch.randn(2, 3, 4, 3)
    means = soft_region_means(features, logits)
    for image in range(2):
        p = logits[image].softmax(0)
        for klass in range(3):
            wanted = (features[image] * p[klass]).sum((1, 2)) / p[klass].sum()
            assert torch.allclose(means[image, klass], wanted, atol=1e-6)


def test_certain_pixels_give_the_regions_of_the_labels() -> None:
    target = torch.randint(0, 3, (2, 4, 4))
    features = torch.randn(2, 5, 4, 4)
    logits = 100 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float()
    wanted, labels, _ = region_means(features, target, 3)
    labelled, weights = soft_region_labels(target, 3, absent_weight=0.0)
    found = soft_region_means(features, logits)[weights > 0]
    assert torch.allclose(found, wanted, atol=1e-5) and torch.equal(labelled[weights > 0], labels)


def test_gradients_reach_features_and_logits() -> None:
    features = torch.randn(1, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    logits = torch.randn(1, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(soft_region_means, (features, logits))


def test_an_impossible_class_has_a_finite_region() -> None:
    logits = torch.zeros(1, 2, 2, 2)
    logits[:, 1] = -1e4
    assert torch.equal(soft_region_means(torch.ones(1, 3, 2, 2), logits)[0, 1], torch.zeros(3))


def test_half_precision() -> None:
    features, logits = torch.randn(1, 4, 8, 8), torch.randn(1, 3, 8, 8)
    with torch.autocast('cpu', torch.bfloat16):
        means = soft_region_means(features.bfloat16(), logits.bfloat16())
    assert means.dtype == torch.float32 and torch.allclose(means, soft_region_means(features, logits), atol=0.02)


def test_labels_and_weights() -> None:
    """Image 0 holds classes 0 and 2, image 1 class 1 beside ignored pixels, image 2 is ignored as a whole."""
    target = torch.tensor([[[0, 2]], [[1, 255]], [[255, 255]]])
    labels, weights = soft_region_labels(target, 3, absent_weight=0.25)
    assert labels.tolist() == [[0, 3, 2], [3, 1, 3], [3, 3, 3]]
    assert weights.tolist() == [[1, 0.25, 1], [0.25, 1, 0.25], [0, 0, 0]]


def test_sizes_that_differ_are_named() -> None:
    with pytest.raises(ValueError, match=r'same images and size.*\(1, 2, 4, 4\) and \(1, 3, 2, 2\)'):
        soft_region_means(torch.zeros(1, 2, 4, 4), torch.zeros(1, 3, 2, 2))
