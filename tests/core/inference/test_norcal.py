"""NorCal: the hand example with two classes, a slow reference, and what centring keeps."""

from __future__ import annotations

import math

import pytest
import torch

from imbdense.core.inference import LogitCalibration, norcal, norcal_shift


def test_hand_example_two_classes() -> None:
    # n = (100, 10), gamma = 1, z = (1, 0), background 0: e / 100, 1 / 10, 1 -> divided by their sum 1.127183
    scores = norcal(torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64), [100, 10], 1.0)
    parts = [math.e / 100, 0.1, 1.0]
    assert scores[0].tolist() == pytest.approx([part / sum(parts) for part in parts])
    assert scores[0].tolist() == pytest.approx([0.024116, 0.088717, 0.887167], abs=1e-6)


def test_slow_reference() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, counts, gamma = torch.randn(7, 5, generator=generator, dtype=torch.float64), [50, 7, 3, 0], 0.6
    out = norcal(logits, counts, gamma)
    for row, found in zip(logits.tolist(), out.tolist()):
        powers = [max(n, 1) ** gamma for n in counts]
        terms = [math.exp(z) / a for z, a in zip(row, powers)] + [math.exp(row[-1])]
        assert found == pytest.approx([term / sum(terms) for term in terms], rel=1e-9)


def test_gamma_zero_is_the_plain_softmax() -> None:
    logits = torch.randn(4, 3)
    assert torch.allclose(norcal(logits, [9, 1], 0.0), logits.softmax(-1))
    assert torch.allclose(norcal(logits[:, :2], [9, 1], 0.0, use_sigmoid=True), logits[:, :2].sigmoid())


def test_sigmoid_form() -> None:
    out = norcal(torch.tensor([[0.0, 0.0]], dtype=torch.float64), [100, 4], 0.5, use_sigmoid=True)
    assert out[0].tolist() == pytest.approx([1 / 11, 1 / 3])


def test_centred_shift_is_zero_on_average_over_the_objects() -> None:
    shift, plain = norcal_shift([90, 9, 1], 0.7, center=True), norcal_shift([90, 9, 1], 0.7)
    assert (shift * [0.9, 0.09, 0.01]).sum() == pytest.approx(0.0, abs=1e-12)
    assert (shift - plain) == pytest.approx([shift[0] - plain[0]] * 3)  # the order of classes is the same


def test_same_as_the_calibration_object() -> None:
    logits = torch.randn(5, 4)
    shift = norcal_shift([9, 3, 1], 0.5)
    applied = LogitCalibration('norcal', tuple(shift)).apply(logits).softmax(-1)
    assert torch.allclose(applied, norcal(logits, [9, 3, 1], 0.5))


def test_errors_and_empty_batch() -> None:
    with pytest.raises(ValueError, match='2 counts need logits of 3 channels'):
        norcal(torch.zeros(1, 2), [1, 1], 1.0)
    with pytest.raises(ValueError, match='gamma'):
        norcal_shift([1, 1], -0.1)
    assert norcal(torch.zeros(0, 3), [1, 2], 1.0).shape == (0, 3)


def test_bf16() -> None:
    logits = torch.randn(64, 4)
    half = norcal(logits.bfloat16(), [1000, 10, 1], 0.8)
    assert half.dtype == torch.float32
    assert torch.allclose(half, norcal(logits.bfloat16().float(), [1000, 10, 1], 0.8))
