"""The confidence at a rank: exact for lists, close in the histogram."""

from __future__ import annotations

import math

import pytest
import torch

from imbdense.core.pseudo_label import portion_ranks, rank_thresholds, with_fallback
from imbdense.core.pseudo_label.confidence_histogram import BINS, ConfidenceHistogram, bin_edges


def slow(confidence: torch.Tensor, predicted: torch.Tensor, portion: list[float]) -> list[float]:
    """Sort each class by itself."""
    found = []
    for klass, share in enumerate(portion):
        own = sorted(confidence[predicted == klass].tolist(), reverse=True)
        rank = math.floor(share * len(own))
        found.append(own[rank - 1] if rank else math.nan)
    return found


def random_items(seed: int, items: int = 3000, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    confidence = torch.rand(items, generator=generator) ** 0.1
    return confidence, torch.randint(0, classes - 1, (items,), generator=generator)  # the last class has none


def test_by_hand() -> None:
    confidence = torch.tensor([0.6, 0.9, 0.5, 0.8, 0.7])
    ranks = portion_ranks(torch.tensor([5]), 0.4)
    assert ranks.tolist() == [2]
    assert rank_thresholds(confidence, torch.zeros(5, dtype=torch.int64), ranks).item() == pytest.approx(0.8)


@pytest.mark.parametrize('seed', range(3))
def test_equals_sorting_each_class(seed: int) -> None:
    confidence, predicted = random_items(seed)
    portion = torch.tensor([0.2, 0.35, 0.5, 1.0, 0.5], dtype=torch.float64)
    counts = torch.bincount(predicted, minlength=5)
    found = rank_thresholds(confidence, predicted, portion_ranks(counts, portion))
    assert found.tolist() == pytest.approx(slow(confidence, predicted, portion.tolist()), nan_ok=True)


@pytest.mark.parametrize('seed', range(3))
def test_the_histogram_is_below_by_less_than_a_bin(seed: int) -> None:
    confidence, predicted = random_items(seed)
    histogram = ConfidenceHistogram(5)
    histogram.add(confidence, predicted)
    ranks = portion_ranks(histogram.totals(), 0.35)
    exact = rank_thresholds(confidence, predicted, ranks)[:4]
    found = histogram.at_ranks(ranks)
    assert torch.isnan(found[4])
    assert ((exact - found[:4] >= 0) & (exact - found[:4] < 0.0013)).all()
    kept = torch.stack([(confidence[predicted == c] >= found[c]).sum() for c in range(4)])
    assert (kept >= ranks[:4]).all()


def test_bins_are_narrow_everywhere_and_certainty_has_one() -> None:
    edges = bin_edges()
    assert edges.numel() == BINS and (edges.diff() >= 0).all()
    assert edges[1:].diff().max() < 0.0013 and edges[-1] > 0.999998
    histogram = ConfidenceHistogram(1)
    histogram.add(torch.tensor([0.0, 1.0, 1e-6]), torch.zeros(3, dtype=torch.int64))
    assert histogram.counts[0, 0] == 2 and histogram.counts[0, -1] == 1


def test_where_everything_is_almost_certain_the_share_is_still_kept() -> None:
    """With equal bins in p, all of an easy class would lie in the last one."""
    confidence = 1.0 - torch.logspace(-5, -3, 1000)
    histogram = ConfidenceHistogram(1)
    histogram.add(confidence, torch.zeros(1000, dtype=torch.int64))
    limit = histogram.at_ranks(torch.tensor([200]))
    assert 200 <= (confidence >= limit).sum() <= 210


def test_nothing_and_the_fallback() -> None:
    empty = rank_thresholds(torch.empty(0), torch.empty(0, dtype=torch.int64), torch.zeros(2, dtype=torch.int64))
    assert torch.isnan(empty).all()
    limits = with_fallback(torch.tensor([0.7, torch.nan, torch.nan]), torch.tensor([0.9, 0.6, 0.1]))
    assert limits.tolist() == pytest.approx([0.7, 0.6, 0.3])
