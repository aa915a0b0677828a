"""STAR: change labels by hand, shares of change, partners that are never their own and change enough."""

from __future__ import annotations

import itertools

import pytest
import torch

from imbdense.core.sampling.star_pairs import change_between, change_shares, draw_partners


def test_change_is_the_exclusive_or_of_two_masks() -> None:
    first, second = torch.tensor([0, 0, 1, 1, 255, 1]), torch.tensor([0, 1, 0, 1, 1, 255])
    assert change_between(first, second).tolist() == [0, 1, 1, 0, 255, 255]


def test_change_of_several_classes() -> None:
    assert change_between(torch.tensor([3, 3, 0]), torch.tensor([3, 4, 4])).tolist() == [0, 1, 1]


def test_shares_equal_a_slow_count() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (5, 6, 7), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = 255
    labels[4] = 255
    shares = change_shares(labels)
    for i, j in itertools.product(range(5), repeat=2):
        change = change_between(labels[i], labels[j])
        known = change[change != 255]
        assert shares[i, j].item() == pytest.approx(known.float().mean().item() if known.numel() else 0.0, abs=1e-6)


def test_partners_are_derangements_drawn_evenly() -> None:
    generator, seen = torch.Generator().manual_seed(0), {}
    for _ in range(400):
        partner = tuple(draw_partners(torch.zeros(4, 4), 0.0, generator).tolist())
        assert sorted(partner) == [0, 1, 2, 3] and all(i != p for i, p in enumerate(partner))
        seen[partner] = seen.get(partner, 0) + 1
    assert len(seen) == 9 and min(seen.values()) > 20


def test_too_little_change_takes_the_pairing_with_the_most() -> None:
    """Images 0 and 1 hold the rare class: each must meet an image without it."""
    labels = torch.zeros(4, 2, 2, dtype=torch.int64)
    labels[:2, 0, 0] = 1
    shares = change_shares(labels)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        partner = draw_partners(shares, 0.25, generator)
        assert shares[torch.arange(4), partner].mean() == 0.25 and not (partner == torch.arange(4)).any()
    free = [shares[torch.arange(4), draw_partners(shares, 0.0, generator)].mean().item() for _ in range(40)]
    assert min(free) == 0.0 < 0.25 == max(free)


def test_a_single_image_is_refused() -> None:
    with pytest.raises(ValueError, match='at least 2 images'):
        draw_partners(torch.zeros(1, 1), 0.0, torch.Generator())
