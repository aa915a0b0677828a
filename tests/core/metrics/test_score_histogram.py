"""Histograms of dense scores: equal to a per-class loop, chunk-independent, margin without saturation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.metrics import score_histogram as module
from imbdense.core.metrics.ordered_key import ordered_key
from imbdense.core.metrics.ranking import auroc_ap_from_hist
from imbdense.core.metrics.score_histogram import coarsen, dense_scores, score_histogram


def make(classes: int = 4, size: int = 501, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    gen = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, classes, (size,), generator=gen)
    logits = torch.randn(classes, size, generator=gen) + 2 * torch.nn.functional.one_hot(truth, classes).T
    return logits, truth, torch.rand(size, generator=gen) > 0.2


@pytest.mark.parametrize('chunk', [4_000_000, 100, 4])
@pytest.mark.parametrize('bits', [6, 16])
def test_equals_a_loop_over_classes(chunk: int, bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, 'CHUNK', chunk)
    logits, truth, valid = make()
    scores = dense_scores(logits)
    truth[:5] = 77  # an unlisted class: a negative for every row
    positives, negatives = score_histogram(scores, truth, valid, bits=bits)
    assert positives.dtype == negatives.dtype == torch.int64
    for row in range(4):
        keys = ordered_key(scores[row], bits).long()
        for hist, chosen in ((positives, valid & (truth == row)), (negatives, valid & (truth != row))):
            assert torch.equal(hist[row], torch.bincount(keys[chosen], minlength=2**bits))


def test_empty_and_wholly_ignored() -> None:
    logits, truth, valid = make()
    positives, negatives = score_histogram(logits, truth, torch.zeros_like(valid), bits=8)
    assert positives.sum() == negatives.sum() == 0
    positives, _ = score_histogram(logits[:, :0], truth[:0], valid[:0], bits=8)
    assert positives.shape == (4, 256)


def test_scores_by_definition() -> None:
    logits = make()[0]
    doubled = logits.double()
    torch.testing.assert_close(dense_scores(logits), doubled.softmax(0).float())
    for row in range(4):
        others = torch.cat([doubled[:row], doubled[row + 1 :]]).logsumexp(0)
        torch.testing.assert_close(
            dense_scores(logits, 'margin')[row], (doubled[row] - others).float(), rtol=1e-4, atol=1e-4
        )
    assert torch.equal(dense_scores(logits, 'logit'), logits)
    assert torch.equal(dense_scores(logits[:1]), logits[:1].sigmoid())
    assert torch.equal(dense_scores(logits[:1], 'margin'), logits[:1])
    with pytest.raises(ValueError, match='score'):
        dense_scores(logits, 'probability')


def test_margin_orders_where_the_probability_saturates() -> None:
    logits = torch.tensor([[40.0, 50.0, 60.0], [0.0, 0.0, 0.0]])
    assert dense_scores(logits, 'prob')[0].unique().numel() == 1
    assert bool((dense_scores(logits, 'margin')[0].diff() > 0).all())
    assert bool((dense_scores(logits, 'margin')[1].diff() < 0).all())


def test_coarsening_keeps_counts_and_order() -> None:
    logits, truth, valid = make(size=3000)
    positives, negatives = score_histogram(logits, truth, valid, bits=16)
    small = coarsen(positives, 12)
    assert small.shape == (4, 4096) and torch.equal(small.sum(1), positives.sum(1))
    direct, _ = score_histogram(logits, truth, valid, bits=12)
    assert torch.equal(small, direct)
    fine = auroc_ap_from_hist(positives[0].numpy(), negatives[0].numpy())['auroc']
    coarse = auroc_ap_from_hist(small[0].numpy(), coarsen(negatives, 12)[0].numpy())['auroc']
    assert fine == pytest.approx(coarse, abs=1e-3)


def test_autocast_scores_are_float32() -> None:
    logits = make()[0]
    with torch.autocast('cpu', torch.bfloat16):
        assert dense_scores(logits.bfloat16(), 'margin').dtype == torch.float32


def test_wide_keys_do_not_overflow_int32() -> None:
    truth = torch.zeros(10, dtype=torch.long)
    positives, negatives = score_histogram(torch.rand(2, 10), truth, truth == 0, bits=20)
    assert np.all(positives.sum(1).numpy() == [10, 0]) and np.all(negatives.sum(1).numpy() == [0, 10])
