"""Regions: all pixels of one class in one image."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.regions import region_means, region_sums


def test_region_means_by_hand() -> None:
    features = torch.arange(8.0).view(1, 2, 2, 2)  # channel 0: 0 1 2 3, channel 1: 4 5 6 7
    target = torch.tensor([[[0, 0], [2, 255]]])
    means, labels, pixels = region_means(features, target, 3)
    assert means.tolist() == [[0.5, 4.5], [2.0, 6.0]] and labels.tolist() == [0, 2] and pixels.tolist() == [2, 1]
    twice = region_means(features.repeat(2, 1, 1, 1), target.repeat(2, 1, 1), 3, per='batch')
    assert twice[0].tolist() == means.tolist() and twice[2].tolist() == [4, 2]


def test_an_object_smaller_than_a_cell_makes_a_region() -> None:
    features = torch.arange(4.0).view(1, 1, 2, 2)
    target = torch.zeros(1, 6, 6, dtype=torch.long)
    target[0, 0, 4] = 1  # lies in the upper right cell, of feature 1
    means, labels, pixels = region_means(features, target, 2)
    assert labels.tolist() == [0, 1] and pixels.tolist() == [35, 1] and means[1].item() == 1.0
    assert means[0].item() == pytest.approx((9 * 0 + 8 * 1 + 9 * 2 + 9 * 3) / 35)


def test_no_region_at_all() -> None:
    features = torch.randn(1, 2, 2, 2, requires_grad=True)
    means, labels, _ = region_means(features, torch.full((1, 2, 2), 255), 3)
    means.sum().backward()
    assert means.shape == (0, 2) and labels.numel() == 0 and (features.grad == 0).all()


def test_sums_have_a_place_for_classes_that_are_not_there() -> None:
    features = torch.arange(8.0).view(1, 2, 2, 2)
    sums, pixels = region_sums(features, torch.tensor([[[0, 0], [2, 255]]]), 3)
    assert sums[0].tolist() == [[1, 9], [0, 0], [2, 6]] and pixels.tolist() == [[2, 0, 1]]
