"""The change class over all thresholds: bounds hold the exact AP, ignored pixels do not count."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.metrics.change_probability import change_histogram, threshold_scores
from imbdense.core.metrics.ranking import auroc_ap


def drawn(size: int = 20_000) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    change = (torch.rand(size, generator=generator) < 0.05).to(torch.uint8)
    logits = torch.randn(size, generator=generator) + 2.0 * change - 1
    return logits.sigmoid(), change


def test_bounds_hold_the_exact_average_precision() -> None:
    probability, change = drawn()
    found = threshold_scores(change_histogram(probability, change).numpy())
    exact = auroc_ap(probability.numpy(), change.numpy())
    assert found['AP_lo'] <= exact['ap'] <= found['AP_hi'] and found['AP_hi'] - found['AP_lo'] < 0.02
    assert found['AP'] == pytest.approx(exact['ap'], abs=2e-3)
    assert found['AUROC'] == pytest.approx(exact['auroc'], abs=1e-3)


def test_best_threshold_is_the_best() -> None:
    probability, change = drawn()
    found = threshold_scores(change_histogram(probability, change).numpy())

    def f1(threshold: float) -> float:
        said = probability >= threshold
        hit = int((said & (change == 1)).sum())
        return 2 * hit / (int(said.sum()) + int(change.sum()))

    assert f1(found['best_threshold']) == pytest.approx(found['best_F1'])
    assert found['best_F1'] == pytest.approx(max(f1(k / 1024) for k in range(1, 1024)))


def test_ignored_and_kinds_of_change() -> None:
    probability, change = drawn(1000)
    noisy = torch.cat([probability, torch.rand(500)])
    label = torch.cat([change, torch.full((500,), 255, dtype=torch.uint8)])
    assert torch.equal(change_histogram(noisy, label), change_histogram(probability, change))
    assert torch.equal(change_histogram(probability, change * 4), change_histogram(probability, change))
    ends = change_histogram(torch.tensor([0.0, 1.0]), torch.tensor([0, 1], dtype=torch.uint8))
    assert ends[0, 0] == 1 and ends[1, 1023] == 1 and ends.sum() == 2


def test_without_change_nothing_is_defined() -> None:
    found = threshold_scores(np.stack([np.ones(1024, int), np.zeros(1024, int)]))
    assert all(np.isnan(value) for value in found.values())
