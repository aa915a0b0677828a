"""Start biases: worked examples, the optimum against a search, and the bias gives the prior back."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import (
    expected_initial_loss,
    per_class_sigmoid_bias,
    per_class_softmax_bias,
    prior_to_bias,
    shared_prior,
    shared_sigmoid_bias,
    shared_softmax_bias,
)


def test_worked_example_sigmoid() -> None:
    """N = 1000, N_f = 10, C = 4."""
    assert shared_prior(10, 990, 4) == 0.0025
    assert shared_sigmoid_bias(10, 990, 4) == pytest.approx(-5.98896, abs=1e-5)
    assert shared_sigmoid_bias(10, 990, 4) == pytest.approx(-math.log(399))
    values = [expected_initial_loss(prior, 10, 990, 4) for prior in (0.0025, 0.01, 0.5)]
    assert values == pytest.approx([6.99021, 8.61525, 277.25887], abs=1e-5)


def test_worked_example_softmax() -> None:
    bias = shared_softmax_bias(10, 990, 4)
    assert bias[:4].tolist() == [0.0] * 4 and bias[4].item() == pytest.approx(5.98141, abs=1e-5)
    assert bias.softmax(0).tolist() == pytest.approx([1 / 400] * 4 + [396 / 400])


@pytest.mark.parametrize(('foreground', 'background', 'classes'), [(10, 990, 4), (3, 10**5, 80), (7, 5, 1), (9, 0, 3)])
def test_the_shared_prior_is_the_minimum(foreground: int, background: int, classes: int) -> None:
    """Against a fine grid of other priors, and as the loss of a head that answers it on real targets."""
    best = shared_prior(foreground, background, classes)
    lowest = expected_initial_loss(best, foreground, background, classes)
    for factor in (0.01, 0.5, 0.9, 0.99, 1.01, 1.1, 2.0):
        assert expected_initial_loss(min(best * factor, 0.999), foreground, background, classes) > lowest
    targets = torch.zeros(foreground + background, classes, dtype=torch.float64)
    targets[torch.arange(foreground), torch.arange(foreground) % classes] = 1
    logits = torch.full_like(targets, shared_sigmoid_bias(foreground, background, classes))
    loss = F.binary_cross_entropy_with_logits(logits, targets, reduction='sum') / foreground
    assert loss.item() == pytest.approx(lowest)


def test_the_shared_softmax_is_the_minimum() -> None:
    """A gradient of zero over targets of equally many classes."""
    bias = shared_softmax_bias(12, 300, 3).requires_grad_()
    targets = torch.cat([torch.arange(3).repeat(4), torch.full((300,), 3)])
    F.cross_entropy(bias.expand(312, 4), targets).backward()
    assert bias.grad.abs().max() < 1e-12


def test_per_class_forms_give_the_frequencies_back() -> None:
    counts = [9000, 900, 9]
    softmax = per_class_softmax_bias(counts, 10**6)
    total = sum(counts) + 10**6
    assert softmax.softmax(0).tolist() == pytest.approx([(n + 1) / (total + 4) for n in (*counts, 10**6)])
    assert softmax.mean().item() == pytest.approx(0, abs=1e-12) and softmax.shape == (4,)
    sigmoid = per_class_sigmoid_bias(counts, 10**6)
    assert sigmoid.sigmoid().tolist() == pytest.approx([(n + 1) / (total + 3) for n in counts])


def test_segmentation_has_no_other_background() -> None:
    pixels = torch.tensor([800.0, 199, 1])
    assert per_class_softmax_bias(pixels).softmax(0).tolist() == pytest.approx([801 / 1003, 200 / 1003, 2 / 1003])
    assert per_class_sigmoid_bias(pixels).sigmoid().tolist() == pytest.approx([801 / 1003, 200 / 1003, 2 / 1003])


def test_a_class_without_samples_stays_finite() -> None:
    for bias in (per_class_softmax_bias([5, 0], 9), per_class_sigmoid_bias([5, 0], 9), per_class_softmax_bias([5, 0])):
        assert torch.isfinite(bias).all() and bias[1] < bias[0]


def test_one_class() -> None:
    """An RPN: pi = N_f / N."""
    assert shared_sigmoid_bias(10, 990, 1) == pytest.approx(math.log(10 / 990))
    assert per_class_sigmoid_bias([10], 990).item() == pytest.approx(math.log(11 / 990))
    assert shared_softmax_bias(10, 990, 1).softmax(0).tolist() == pytest.approx([0.01, 0.99])


@pytest.mark.parametrize(('call', 'message'), [
    (lambda: shared_prior(0, 100, 3), 'no sample is foreground'),
    (lambda: shared_softmax_bias(0, 100, 3), 'no sample is foreground'),
    (lambda: shared_softmax_bias(5, 0, 3), 'no sample is background'),
    (lambda: shared_sigmoid_bias(5, 0, 1), 'prior must lie in'),
    (lambda: per_class_sigmoid_bias([5]), 'one class and no background'),
    (lambda: per_class_softmax_bias([0, 0], 10), 'no class was counted'),
    (lambda: shared_prior(1, -1, 3), 'background must be a finite number'),
    (lambda: shared_prior(1, 1, 0), 'classes must be >= 1'),
    (lambda: prior_to_bias(1.0), 'prior must lie in'),
    (lambda: expected_initial_loss(0.0, 1, 1, 1), 'prior must lie in'),
])  # fmt: skip
def test_errors(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
