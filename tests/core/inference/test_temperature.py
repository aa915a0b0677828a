"""Temperature: recovered where it is known, both activations, weights as repetitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.inference import fit_temperature, negative_log_likelihood


def drawn(temperature: float, use_sigmoid: bool, n: int = 40000) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose true probabilities are those at ``temperature``."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(n, 3)) * 2
    values = torch.from_numpy(logits / temperature)
    if use_sigmoid:  # at most one class: the target where exactly one fires, "none" where none does
        hits = rng.random((n, 3)) < values.sigmoid().numpy()
        keep = hits.sum(axis=1) <= 1
        target = np.where(hits.any(axis=1), hits.argmax(axis=1), 3)
        return logits[keep], target[keep]
    cumulative = values.softmax(-1).cumsum(-1).numpy()
    return logits, (rng.random((n, 1)) > cumulative).sum(axis=1).clip(0, 2)


@pytest.mark.parametrize('temperature', [0.5, 1.0, 3.0])
def test_softmax_temperature_is_recovered(temperature: float) -> None:
    assert fit_temperature(*drawn(temperature, False)) == pytest.approx(temperature, rel=0.03)


def test_sigmoid_form_minimises_the_binary_cross_entropies() -> None:
    logits, target = drawn(2.0, True)
    found = fit_temperature(logits, target, use_sigmoid=True)
    losses = [negative_log_likelihood(logits, target, temperature=t, use_sigmoid=True)
              for t in (found * 0.98, found, found * 1.02)]  # fmt: skip
    assert losses[1] <= min(losses)


def test_likelihood_equals_torch() -> None:
    rng = np.random.default_rng(1)
    logits, target, weight = rng.normal(size=(9, 4)), rng.integers(0, 4, 9), rng.random(9)
    each = torch.nn.functional.cross_entropy(torch.tensor(logits) / 1.7, torch.tensor(target), reduction='none')
    expected = float((each * torch.tensor(weight)).sum() / weight.sum())
    assert negative_log_likelihood(logits, target, weight, temperature=1.7) == pytest.approx(expected)
    hot = torch.nn.functional.one_hot(torch.tensor(target), 4).double()
    hot[0] = 0
    target[0] = 4
    bce = torch.nn.functional.binary_cross_entropy_with_logits(torch.tensor(logits), hot, reduction='none').sum(1)
    expected = float((bce * torch.tensor(weight)).sum() / weight.sum())
    assert negative_log_likelihood(logits, target, weight, use_sigmoid=True) == pytest.approx(expected)


def test_a_weight_is_a_repetition() -> None:
    logits, target = np.random.default_rng(0).normal(size=(30, 3)), np.arange(30) % 3
    weight = np.where(target == 0, 3.0, 1.0)
    again = np.repeat(np.arange(30), weight.astype(int))
    assert fit_temperature(logits, target, weight) == pytest.approx(fit_temperature(logits[again], target[again]))


def test_all_right_gives_the_lower_end_and_nothing_is_an_error() -> None:
    logits = np.eye(3) * 5
    assert fit_temperature(logits, np.arange(3)) == pytest.approx(0.02, abs=0.02)
    with pytest.raises(ValueError, match='no labelled element'):
        fit_temperature(np.zeros((0, 3)), np.zeros(0, dtype=int))
    assert np.isnan(negative_log_likelihood(np.zeros((0, 3)), np.zeros(0, dtype=int)))
