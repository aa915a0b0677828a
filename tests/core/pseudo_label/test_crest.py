"""CReST: shares by frequency rank."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.pseudo_label import CReSTQuota, crest_rates


def test_by_hand() -> None:
    assert crest_rates(torch.tensor([100.0, 50, 10, 5])).tolist() == pytest.approx([0.368, 0.464, 0.794, 1], abs=1e-3)


def test_the_rank_counts_not_the_index() -> None:
    rates = crest_rates(torch.tensor([10.0, 100, 5, 50]))
    assert rates.tolist() == pytest.approx([0.794, 0.368, 1, 0.464], abs=1e-3)


def test_no_class_keeps_more_than_a_rarer_one() -> None:
    counts = torch.tensor([3.0, 700, 20, 20, 0, 90])
    rates = crest_rates(counts)
    order = counts.argsort(descending=True, stable=True)
    assert (rates[order].diff() >= 0).all() and rates[4] == 1 and rates[1] == 0


def test_the_most_confident_share_is_kept() -> None:
    rule = CReSTQuota(2, class_counts=[1000, 1], round_steps=None)
    scores, labels = torch.linspace(0.2, 1, 200), torch.arange(200) % 2
    rule.observe(scores, labels)
    rule.end_round()
    kept = rule.select(scores, labels) == 1
    assert kept[labels == 0].sum() == pytest.approx(10, abs=1) and kept[labels == 1].all()
