"""Class weights of Siamese KPConv by the loss that is there: w = sqrt(mean n / n_c), scaled to sum 1."""

from __future__ import annotations

import torch

from imbdense.mm.losses.reweighted_ce import ReweightedCELoss


def test_sqrt_scheme_is_theirs() -> None:
    counts = torch.tensor([9000.0, 400.0, 100.0])
    weights = (counts.mean() / counts).sqrt()
    weights = weights / weights.sum()
    logits, labels = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 3
    labels[::7] = -1
    expected = torch.nn.functional.nll_loss(logits.log_softmax(1), labels, weights, ignore_index=-1)
    found = ReweightedCELoss(scheme='sqrt', class_counts=counts.tolist(), ignore_index=-1)(logits, labels)
    torch.testing.assert_close(found, expected)
