"""Calibration bins: a hand example, a slow reference, exact mergeability."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.metrics.calibration import MAX_NLL, calibration_bins, calibration_scores, empty_bins


def batch(size: int = 4000, classes: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    gen = torch.Generator().manual_seed(seed)
    probs = (torch.randn(classes, size, generator=gen) * 2).softmax(0)
    truth = torch.multinomial(probs.T, 1, generator=gen)[:, 0]
    return probs, truth, torch.rand(size, generator=gen) > 0.1


def add(first: dict, second: dict) -> dict:
    return {name: first[name] + second[name] for name in first}


def test_hand_example() -> None:
    probs = torch.tensor([[0.9, 0.9, 0.6, 0.2], [0.1, 0.1, 0.4, 0.8]])
    scores = calibration_scores(calibration_bins(probs, torch.tensor([0, 1, 0, 1]), torch.ones(4).bool(), bins=2))
    # winners all lie in the upper bin: accuracy 3/4, mean confidence (.9 + .9 + .6 + .8) / 4 = .8
    assert scores.ece == pytest.approx(0.05, abs=1e-6)
    # class 0: lower bin {.2}: 0 of 1; upper bin {.9, .9, .6}: 2 of 3 against a sum of 2.4
    assert scores.class_ece[0] == pytest.approx((0.2 + 0.4) / 4, abs=1e-6)
    assert scores.class_gap[0] == pytest.approx((2.6 - 2) / 4, abs=1e-6)
    assert scores.nll[1] == pytest.approx(-(np.log(0.1) + np.log(0.8)) / 2, abs=1e-6)
    assert scores.brier[0] == pytest.approx((0.02 + 0.32) / 2, abs=1e-6)
    assert scores.mean_brier == pytest.approx((0.02 + 0.32 + 1.62 + 0.08) / 4, abs=1e-6)


def test_equals_a_slow_reference() -> None:
    probs, truth, valid = batch()
    scores = calibration_scores(calibration_bins(probs, truth, valid, bins=15))
    p, y = probs.T[valid].double().numpy(), truth[valid].numpy()
    confidence, correct = p.max(1), p.argmax(1) == y
    ece = 0.0
    for b in range(15):
        chosen = (confidence >= b / 15) & ((confidence < (b + 1) / 15) | (b == 14))
        if chosen.any():
            ece += chosen.mean() * abs(correct[chosen].mean() - confidence[chosen].mean())
    assert scores.ece == pytest.approx(ece, abs=1e-6)
    assert scores.mean_nll == pytest.approx(-np.log(p[np.arange(len(y)), y]).mean(), abs=1e-6)
    assert scores.mean_brier == pytest.approx(((p - np.eye(3)[y]) ** 2).sum(1).mean(), abs=1e-6)
    assert scores.ece < 0.05  # drawn from its own probabilities, so it is calibrated


@pytest.mark.parametrize('bins', [2, 4, 8, 10])
def test_a_probability_on_an_edge_belongs_to_the_bin_below(bins: int) -> None:
    """As in Guo et al., whose bins are open at the lower end."""
    steps = torch.arange(0, bins + 1)
    p = steps.repeat(7) / bins
    truth = (torch.arange(p.numel()) % 3 == 0).long()
    tables = calibration_bins(torch.stack([1 - p, p]), truth, torch.ones(p.numel()).bool(), bins=bins)
    assert tables['bin_count'][1].tolist() == [14, *[7] * (bins - 1)]
    place = np.maximum(steps.repeat(7).numpy() - 1, 0)
    wanted = sum(abs(truth.numpy()[place == b].sum() - p.double().numpy()[place == b].sum()) for b in range(bins))
    assert calibration_scores(tables).class_ece[1] == pytest.approx(wanted / p.numel(), abs=1e-6)


def test_any_split_gives_bit_equal_tables() -> None:
    probs, truth, valid = batch()
    whole = calibration_bins(probs, truth, valid)
    parts = empty_bins(3)
    for part in torch.randperm(4000, generator=torch.Generator().manual_seed(1)).split(333):
        parts = add(parts, calibration_bins(probs[:, part], truth[part], valid[part]))
    for name, table in whole.items():
        assert table.dtype == np.int64
        np.testing.assert_array_equal(table, parts[name])


def test_absent_class_and_nothing_at_all() -> None:
    probs = torch.tensor([[0.7, 0.4], [0.2, 0.5], [0.1, 0.1]])
    scores = calibration_scores(calibration_bins(probs, torch.tensor([0, 1]), torch.ones(2).bool()))
    assert np.isnan(scores.class_ece[2]) and np.isnan(scores.nll[2])
    assert np.isfinite(scores.class_ece[:2]).all()
    empty = calibration_scores(calibration_bins(probs, torch.tensor([0, 1]), torch.zeros(2).bool()))
    assert np.isnan(empty.ece) and np.isnan(empty.class_ece).all()


def test_certain_and_wrong_is_finite() -> None:
    scores = calibration_scores(calibration_bins(torch.tensor([[1.0], [0.0]]), torch.tensor([1]), torch.ones(1).bool()))
    assert 80 < scores.mean_nll <= MAX_NLL
    assert scores.ece == 1.0
